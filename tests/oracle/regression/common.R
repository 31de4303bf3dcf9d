# What brms.R and rstanarm.R share: the rows with their columns, names as riskmodels writes them, the JSON record.
source("tests/oracle/summarise.R")

own_names <- c("Intercept", "sex: Girls", "age", "sex: Girls x age")
# Places of the terms that vary by country.
varying <- function(model) switch(model, disclosure = 1, exposure_age = c(1, 3), 1:4)
data_file <- function(model) sprintf("tests/oracle/regression/%s_SYNTHETIC.csv", if (startsWith(model, "exposure")) "any_item" else "did_not_disclose")

read_cells <- function(model) {
  cells <- read.csv(data_file(model))
  cells$sex <- factor(cells$sex, levels = c("boy", "girl"))
  cells$age_15 <- cells$age - 15
  means <- means_over_children(cells)
  cells$girl_centred <- (cells$sex == "girl") - means[["girl"]]
  cells$age_centred <- cells$age_15 - means[["age"]]
  cells$girl_x_age_centred <- (cells$sex == "girl") * cells$age_15 - means[["girl_x_age"]]
  cells
}

means_over_children <- function(cells) {
  girl <- cells$sex == "girl"
  c(girl = weighted.mean(girl, cells$children), age = weighted.mean(cells$age_15, cells$children),
    girl_x_age = weighted.mean(girl * cells$age_15, cells$children))
}

# Coefficients with the intercept of boys aged 15, from the intercept at the means over children.
at_references <- function(intercept, slopes, cells) {
  coefficients <- cbind(intercept - slopes %*% means_over_children(cells), slopes)
  colnames(coefficients) <- own_names
  coefficients
}

# Names of correlations as riskmodels would write them, from the columns' own names.
pair_names <- function(written, parts, columns) {
  pairs <- combn(length(parts), 2, simplify = FALSE)
  found <- setNames(sapply(pairs, function(p) paste(own_names[p], collapse = " | ")), sapply(pairs, function(p) written(parts[p[1]], parts[p[2]])))
  unname(found[columns])
}

write_regression <- function(fit, stanfit, about, coefficients, sds, correlations, output) {
  sampled <- rstan::get_elapsed_time(stanfit)
  nuts <- rstan::get_sampler_params(stanfit, inc_warmup = FALSE)
  packages <- intersect(c("brms", "rstanarm", "rstan", "StanHeaders", "posterior"), loadedNamespaces())
  record <- list(
    model = about$model, formula = about$formula,
    call = paste(trimws(deparse(about$call, width.cutoff = 500)), collapse = " "), data = basename(data_file(about$model)),
    priors = about$priors, means = about$means, date = format(Sys.Date()),
    versions = c(list(R = as.character(getRversion())), sapply(packages, function(p) as.character(packageVersion(p)), simplify = FALSE)),
    chains = length(nuts), draws = nrow(coefficients),
    divergent = sum(sapply(nuts, function(x) sum(x[, "divergent__"]))), largest_treedepth = max(sapply(nuts, function(x) max(x[, "treedepth__"]))),
    mean_leapfrogs = mean(sapply(nuts, function(x) mean(x[, "n_leapfrog__"]))),
    # Stan's clock counts CPU seconds; the compiler is a child process; elapsed is what passed on a machine with other work.
    seconds = list(elapsed = about$seconds[["elapsed"]], cpu = sum(about$seconds[c("user.self", "sys.self", "user.child", "sys.child")]),
                   compiler_cpu = sum(about$seconds[c("user.child", "sys.child")]), warmup_cpu = sum(sampled[, "warmup"]), sampling_cpu = sum(sampled[, "sample"]))
  )
  columns <- function(x) if (length(x)) summarise_columns(x, 4) else setNames(list(), character(0))
  record <- c(record, list(coefficient = columns(coefficients), country_sd = columns(sds), country_correlation = columns(correlations)))
  write_json(record, output, auto_unbox = TRUE, pretty = TRUE, digits = 10)
}
