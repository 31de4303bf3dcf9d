# Oracle: published countries, one partially pooled factor. From the repository's root:
#   Rscript tests/oracle/brms_country.R
# Reads tests/oracle/oracle_country.csv, writes tests/oracle/brms_country.json.
source("tests/oracle/summarise.R")

data_file <- "tests/oracle/oracle_country.csv"
cells <- read.csv(data_file)
call <- quote(brm(
  yes | trials(n) ~ 1 + (1 | country), data = cells, family = binomial(),
  prior = c(prior(normal(-2.1972, 1.2), class = Intercept), prior(normal(0, 0.75), class = sd)),
  chains = 4, iter = 6000, seed = 1, cores = 1, refresh = 0, control = list(adapt_delta = 0.95)
))
fit <- eval(call)
p <- posterior_linpred(fit, transform = TRUE)
colnames(p) <- cells$country
draws <- as.matrix(fit)
write_oracle(fit, call, basename(data_file), list(
  country_prevalence = summarise_columns(p, 4),
  sd_country = summarise_one(draws[, "sd_country__Intercept"], 4),
  intercept = summarise_one(draws[, "b_Intercept"], 4),
  mean_country_logit = summarise_one(rowMeans(qlogis(p)), 4)
), "tests/oracle/brms_country.json")
