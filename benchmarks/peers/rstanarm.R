# Peer rstanarm: Rscript benchmarks/peers/rstanarm.R benchmarks/peers/cells_312.csv OUTPUT.json SEED [TARGET]   (from the repository's root)
import_start <- proc.time()[["elapsed"]]
source("benchmarks/peers/common.R")
suppressMessages(library(rstanarm))
import_seconds <- proc.time()[["elapsed"]] - import_start
args <- peer_arguments()
target <- if (is.na(args$target)) 0.95 else args$target  # 0.95 is the default of rstanarm here

start <- proc.time()[["elapsed"]]
cells <- read.csv(args$data)
fit <- stan_glmer(
  cbind(yes, n - yes) ~ 1 + (1 | country) + (1 | age) + (1 | gender) + (1 | ses) + (1 | country:age) + (1 | country:gender),
  data = cells, family = binomial(), chains = 4, iter = 2000, warmup = 1000, seed = args$seed, cores = CORES, refresh = 0, adapt_delta = target,
  prior_intercept = normal(-2.1972, 1.2, autoscale = FALSE)
)
p <- by_country(posterior_epred(fit), cells)
variances <- as.matrix(fit, regex_pars = "^Sigma")
sds <- sqrt(variances)
colnames(sds) <- sub("^Sigma\\[(.*):\\(Intercept\\),\\(Intercept\\)\\]$", "\\1", colnames(sds))
ess <- bulk_ess(cbind(p, sds), 4)
mean_p <- colMeans(p)
end <- proc.time()[["elapsed"]]

write_record(list(
  peer = "rstanarm", version = as.character(packageVersion("rstanarm")), rstan = as.character(packageVersion("rstan")), r = as.character(getRversion()),
  seed = args$seed, chains = 4, warmup = 1000, draws = 1000, cores = CORES, target_accept = target,
  wall_seconds = end - start, compile_seconds = 0, sample_seconds = end - start, import_seconds = import_seconds,
  min_ess = min(ess), min_ess_of = names(which.min(ess)), max_rhat = largest_rhat(cbind(p, sds), 4),
  divergent = sum(rstan::get_divergent_iterations(fit$stanfit)),
  priors = "intercept normal(-2.1972, 1.2); sds by the default decov(1, 1, 1, 1), an Exponential(1) for each: not the half-normal of the others",
  country_prevalence = as.list(mean_p), sd_mean = as.list(colMeans(sds))
), args$output)
