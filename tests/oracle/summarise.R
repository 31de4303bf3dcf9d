# What both oracle scripts share: Boost for Stan, one summary per quantity, the JSON record.
suppressMessages({library(brms); library(posterior); library(jsonlite)})

# BOOST_INCLUDE: folder that holds boost/, needed where the R package BH comes without the headers.
if (nzchar(Sys.getenv("BOOST_INCLUDE"))) rstan::rstan_options(boost_lib = Sys.getenv("BOOST_INCLUDE"), boost_lib2 = Sys.getenv("BOOST_INCLUDE"))

# x: draws of one quantity, chains stacked one after another.
summarise_one <- function(x, chains) {
  x <- matrix(x, ncol = chains)
  list(
    mean = mean(x), sd = sd(x), q5 = quantile(x, 0.05)[[1]], q95 = quantile(x, 0.95)[[1]],
    mcse_mean = mcse_mean(x), mcse_sd = mcse_sd(x), mcse_q5 = mcse_quantile(x, 0.05)[[1]], mcse_q95 = mcse_quantile(x, 0.95)[[1]],
    ess_bulk = ess_bulk(x), ess_tail = ess_tail(x), rhat = rhat(x)
  )
}

# x: draws x quantities, named columns. Gives a named list of summaries.
summarise_columns <- function(x, chains) sapply(colnames(x), function(name) summarise_one(x[, name], chains), simplify = FALSE)

write_oracle <- function(fit, call, data, results, output) {
  nuts <- nuts_params(fit)
  record <- list(
    call = paste(trimws(deparse(call, width.cutoff = 500)), collapse = " "), data = data, date = format(Sys.Date()),
    versions = list(R = as.character(getRversion()), brms = as.character(packageVersion("brms")), rstan = as.character(packageVersion("rstan")),
                    posterior = as.character(packageVersion("posterior"))),
    chains = nchains(fit), draws = ndraws(fit), divergent = sum(subset(nuts, Parameter == "divergent__")$Value),
    largest_treedepth = max(subset(nuts, Parameter == "treedepth__")$Value)
  )
  write_json(c(record, results), output, auto_unbox = TRUE, pretty = TRUE, digits = 8)
}
