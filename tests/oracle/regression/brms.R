# Oracle: hierarchical logistic regressions of the SYNTHETIC twin by brms. From the repository's root:
#   Rscript tests/oracle/regression/brms.R MODEL        (exposure, exposure_age, disclosure or disclosure_slopes)
# Reads tests/oracle/regression/OUTCOME_SYNTHETIC.csv, writes tests/oracle/regression/brms_MODEL.json.
source("tests/oracle/regression/common.R")
model <- commandArgs(trailingOnly = TRUE)[[1]]
cells <- read_cells(model)

# brms centres columns at their means over rows. A row here stands for many children, so columns are centred beforehand at
# their means over children (as brms would with a row per child) and brms is told to leave them alone: "0 + Intercept".
shared <- y | weights(weight) ~ 0 + Intercept + girl_centred + age_centred + girl_x_age_centred
formula <- bf(update(shared, switch(model,
  exposure = . ~ . + (sex * age_15 | country),
  exposure_age = . ~ . + (age_15 | country),
  disclosure = . ~ . + (1 | country),
  disclosure_slopes = . ~ . + (sex * age_15 | country)
)))
priors <- c(prior(student_t(3, 0, 2.5), class = b, coef = Intercept), prior(student_t(3, 0, 2.5), class = sd))
if (model != "disclosure") priors <- c(priors, prior(lkj(1), class = cor))
call <- quote(brm(
  formula, data = cells, family = bernoulli(), prior = priors,
  chains = 4, iter = 6000, warmup = 1000, seed = 1, cores = 1, refresh = 0, control = list(adapt_delta = 0.95)
))
seconds <- system.time(fit <- eval(call))

draws <- as.matrix(fit)
coefficients <- at_references(draws[, "b_Intercept"], draws[, c("b_girl_centred", "b_age_centred", "b_girl_x_age_centred")], cells)
own <- grep("^sd_country__", colnames(draws), value = TRUE)
sds <- draws[, own, drop = FALSE]
colnames(sds) <- own_names[varying(model)]
correlations <- draws[, grep("^cor_country__", colnames(draws)), drop = FALSE]
if (ncol(correlations)) colnames(correlations) <- pair_names(function(a, b) sprintf("cor_country__%s__%s", a, b), c("Intercept", "sexgirl", "age_15", "sexgirl:age_15"), colnames(correlations))
write_regression(fit, fit$fit, list(
  model = model, formula = paste(trimws(deparse(fit$formula$formula, width.cutoff = 500)), collapse = " "), call = call,
  priors = as.list(setNames(priors$prior, paste0(priors$class, ifelse(nzchar(priors$coef), paste0(" ", priors$coef), "")))),
  means = as.list(means_over_children(cells)), seconds = seconds
), coefficients, sds, correlations, sprintf("tests/oracle/regression/brms_%s.json", model))
