# Peer lme4: Rscript benchmarks/peers/lme4.R benchmarks/peers/cells_312.csv OUTPUT.json SEED   (from the repository's root)
# Maximum likelihood by the Laplace approximation: point estimates, no draws; the seed is recorded and not used.
import_start <- proc.time()[["elapsed"]]
source("benchmarks/peers/common.R")
suppressMessages(library(lme4))
import_seconds <- proc.time()[["elapsed"]] - import_start
args <- peer_arguments()

start <- proc.time()[["elapsed"]]
cells <- read.csv(args$data)
fit <- glmer(
  cbind(yes, n - yes) ~ 1 + (1 | country) + (1 | age) + (1 | gender) + (1 | ses) + (1 | country:age) + (1 | country:gender),
  data = cells, family = binomial()
)
p <- by_country(matrix(fitted(fit), nrow = 1), cells)[1, ]
end <- proc.time()[["elapsed"]]

sds <- sapply(VarCorr(fit), function(v) attr(v, "stddev")[[1]])
write_record(list(
  peer = "lme4", version = as.character(packageVersion("lme4")), r = as.character(getRversion()),
  seed = args$seed, chains = NULL, warmup = NULL, draws = NULL, cores = 1,
  wall_seconds = end - start, compile_seconds = 0, sample_seconds = NULL, import_seconds = import_seconds,
  min_ess = NULL, singular = isSingular(fit), messages = as.list(as.character(fit@optinfo$conv$lme4$messages)),
  priors = "none: maximum likelihood; country_prevalence are plug-in estimates, not posterior means",
  country_prevalence = as.list(p), sd_mean = as.list(sds)
), args$output)
