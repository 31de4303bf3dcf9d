# What the R peers share: arguments (TARGET: target acceptance of NUTS; the peer's default if absent), poststratification by n, effective draws, the JSON record.
suppressMessages(library(jsonlite))

CORES <- 2

peer_arguments <- function() {
  args <- commandArgs(trailingOnly = TRUE)
  if (!length(args) %in% 3:4) stop("usage: Rscript PEER.R DATA.csv OUTPUT.json SEED [TARGET]")
  list(data = args[1], output = args[2], seed = as.integer(args[3]), target = as.numeric(args[4]))
}

# p: draws x cells. Gives draws x countries, cells weighted by their n.
by_country <- function(p, cells) {
  countries <- sort(unique(cells$country))
  out <- sapply(countries, function(k) {
    here <- cells$country == k
    as.vector(p[, here, drop = FALSE] %*% (cells$n[here] / sum(cells$n[here])))
  })
  matrix(out, ncol = length(countries), dimnames = list(NULL, countries))
}

# x: draws x quantities, chains stacked one after another.
bulk_ess <- function(x, chains) apply(x, 2, function(v) posterior::ess_bulk(matrix(v, ncol = chains)))
largest_rhat <- function(x, chains) max(apply(x, 2, function(v) posterior::rhat(matrix(v, ncol = chains))))

write_record <- function(record, output) {
  record$date <- format(Sys.Date())
  write_json(record, output, auto_unbox = TRUE, pretty = TRUE, digits = 8, null = "null")
}
