# Peer brms: Rscript benchmarks/peers/brms.R benchmarks/peers/cells_312.csv OUTPUT.json SEED [TARGET]   (from the repository's root)
# BOOST_INCLUDE: folder that holds boost/, needed where the R package BH comes without the headers (see README).
import_start <- proc.time()[["elapsed"]]
source("benchmarks/peers/common.R")
suppressMessages(library(brms))
import_seconds <- proc.time()[["elapsed"]] - import_start
args <- peer_arguments()
target <- if (is.na(args$target)) 0.8 else args$target  # 0.8 is the default of brms
if (nzchar(Sys.getenv("BOOST_INCLUDE"))) rstan::rstan_options(boost_lib = Sys.getenv("BOOST_INCLUDE"), boost_lib2 = Sys.getenv("BOOST_INCLUDE"))

start <- proc.time()[["elapsed"]]
cells <- read.csv(args$data)
blank <- brm(
  yes | trials(n) ~ 1 + (1 | country) + (1 | age) + (1 | gender) + (1 | ses) + (1 | country:age) + (1 | country:gender),
  data = cells, family = binomial(), chains = 0, silent = 2, refresh = 0,
  prior = c(prior(normal(-2.1972, 1.2), class = Intercept), prior(normal(0, 0.75), class = sd))
)
compiled <- proc.time()[["elapsed"]]
fit <- update(blank, recompile = FALSE, chains = 4, iter = 2000, warmup = 1000, seed = args$seed, cores = CORES, refresh = 0, silent = 2,
              control = list(adapt_delta = target))
p <- by_country(posterior_linpred(fit, transform = TRUE), cells)
sds <- as.matrix(fit, variable = "^sd_", regex = TRUE)
ess <- bulk_ess(cbind(p, sds), 4)
mean_p <- colMeans(p)
end <- proc.time()[["elapsed"]]

write_record(list(
  peer = "brms", version = as.character(packageVersion("brms")), rstan = as.character(packageVersion("rstan")), r = as.character(getRversion()),
  seed = args$seed, chains = 4, warmup = 1000, draws = 1000, cores = CORES, target_accept = target,
  wall_seconds = end - start, compile_seconds = compiled - start, sample_seconds = end - compiled, import_seconds = import_seconds,
  min_ess = min(ess), min_ess_of = names(which.min(ess)), max_rhat = largest_rhat(cbind(p, sds), 4),
  divergent = sum(subset(nuts_params(fit), Parameter == "divergent__")$Value),
  priors = "Intercept normal(-2.1972, 1.2); every sd half-normal(0, 0.75)",
  country_prevalence = as.list(mean_p), sd_mean = as.list(colMeans(sds))
), args$output)
