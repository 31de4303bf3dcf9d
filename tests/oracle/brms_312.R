# Oracle: SYNTHETIC table of 312 cells, four factors and two interactions. From the repository's root:
#   Rscript tests/oracle/brms_312.R
# Reads benchmarks/peers/cells_312.csv, writes tests/oracle/brms_312.json.
source("tests/oracle/summarise.R")

data_file <- "benchmarks/peers/cells_312.csv"
cells <- read.csv(data_file)
call <- quote(brm(
  yes | trials(n) ~ 1 + (1 | country) + (1 | age) + (1 | gender) + (1 | ses) + (1 | country:age) + (1 | country:gender),
  data = cells, family = binomial(),
  prior = c(prior(normal(-2.1972, 1.2), class = Intercept), prior(normal(0, 0.75), class = sd)),
  chains = 4, iter = 4000, seed = 1, cores = 1, refresh = 0, control = list(adapt_delta = 0.98)
))
fit <- eval(call)
p <- posterior_linpred(fit, transform = TRUE)
countries <- sort(unique(cells$country))
country <- sapply(countries, function(k) {
  here <- cells$country == k
  as.vector(p[, here] %*% (cells$n[here] / sum(cells$n[here])))
})
sds <- as.matrix(fit, variable = "^sd_", regex = TRUE)
colnames(sds) <- sub("__Intercept$", "", colnames(sds))
write_oracle(fit, call, basename(data_file), list(
  country_prevalence = summarise_columns(country, 4),
  sd = summarise_columns(sds, 4),
  intercept = summarise_one(as.matrix(fit)[, "b_Intercept"], 4)
), "tests/oracle/brms_312.json")
