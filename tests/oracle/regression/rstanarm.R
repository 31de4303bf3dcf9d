# Oracle: hierarchical logistic regressions of the SYNTHETIC twin by rstanarm. From the repository's root:
#   Rscript tests/oracle/regression/rstanarm.R MODEL        (exposure, exposure_age, disclosure or disclosure_slopes)
# Reads tests/oracle/regression/OUTCOME_SYNTHETIC.csv, writes tests/oracle/regression/rstanarm_MODEL.json.
suppressMessages(library(rstanarm))
source("tests/oracle/regression/common.R")
model <- commandArgs(trailingOnly = TRUE)[[1]]
cells <- read_cells(model)

# rstanarm has no half Student-t prior of standard deviations where rows have weights: decov() is what there is. It centres
# columns at their means over rows, the intercept's prior is that of the intercept there.
formula <- switch(model,
  disclosure = y ~ sex * age_15 + (1 | country),
  exposure_age = y ~ sex * age_15 + (age_15 | country),
  y ~ sex * age_15 + (sex * age_15 | country)
)
long <- length(varying(model)) < 4
call <- bquote(stan_glmer(
  formula, data = cells, family = binomial(), weights = weight,
  prior = NULL, prior_intercept = student_t(3, 0, 2.5, autoscale = FALSE),
  prior_covariance = decov(regularization = 1, concentration = 1, shape = 1, scale = 1),
  chains = 4, iter = .(if (long) 9000 else 6000), warmup = .(if (long) 1500 else 1000), seed = 1, cores = 1, refresh = 0,
  adapt_delta = .(if (long) 0.99 else 0.95)
))
seconds <- system.time(fit <- eval(call))

draws <- as.matrix(fit)
columns <- c("(Intercept)", "sexgirl", "age_15", "sexgirl:age_15")
coefficients <- draws[, columns]
colnames(coefficients) <- own_names
own <- varying(model)
covariance <- function(a, b) {
  names <- sprintf("Sigma[country:%s,%s]", columns[c(a, b)], columns[c(b, a)])
  draws[, names[names %in% colnames(draws)][[1]]]
}
sds <- sapply(own, function(a) sqrt(covariance(a, a)))
colnames(sds) <- own_names[own]
pairs <- if (length(own) > 1) combn(own, 2, simplify = FALSE) else list()
correlations <- sapply(pairs, function(p) covariance(p[1], p[2]) / sqrt(covariance(p[1], p[1]) * covariance(p[2], p[2])))
if (length(pairs)) colnames(correlations) <- sapply(pairs, function(p) paste(own_names[p], collapse = " | "))
write_regression(fit, fit$stanfit, list(
  model = model, formula = deparse(formula, width.cutoff = 500), call = call,
  priors = list(coefficients = "flat", Intercept = "student_t(3, 0, 2.5) at the means over rows", covariance = "decov(1, 1, 1, 1)"),
  means = as.list(colMeans(model.matrix(~ sex * age_15, cells))[-1]), seconds = seconds
), coefficients, sds, correlations, sprintf("tests/oracle/regression/rstanarm_%s.json", model))
