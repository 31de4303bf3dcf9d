# What R `survey` says about the SYNTHETIC samples of this folder. Run from the repository's root:
#   Rscript tests/oracle/survey/survey.R
# Each case: the call in riskmodels' words (args), and the numbers of R, at 17 digits.
suppressMessages({ library(survey); library(jsonlite) })
here <- "tests/oracle/survey"
children <- read.csv(file.path(here, "children.csv"), stringsAsFactors = FALSE)
repl <- read.csv(file.path(here, "replicates.csv"), stringsAsFactors = FALSE)
children$cs <- paste(children$country, children$stratum)
children$cm <- paste(children$country, children$merged)
options(survey.adjust.domain.lonely = FALSE)
cases <- list()
policy <- c(certainty = "certainty", average = "average", centred = "adjust", error = "fail", merge = "fail")

design <- function(data, a) {
  options(survey.lonely.psu = unname(policy[[a$lonely_psu]]))
  data$.w <- data[[a$weight]]
  strata <- if (is.null(a$stratum)) ~country else if (a$lonely_psu == "merge") ~cm else ~cs
  ids <- if (is.null(a$psu)) ~1 else ~psu
  svydesign(ids = ids, strata = strata, weights = ~.w, data = data)
}
numbers <- function(m, d, deff = TRUE) {
  out <- list(estimate = as.numeric(coef(m)), standard_error = as.numeric(SE(m)), n = nrow(d),
              degrees_of_freedom = degf(d))
  if (deff) out$design_effect <- as.numeric(attr(m, "deff"))
  ci <- as.numeric(confint(m, df = degf(d)))
  c(out, list(normal = ci))
}
extra <- function(out, d, level) {
  ci <- function(method) suppressWarnings(as.numeric(attr(svyciprop(~y, d, method = method, level = level), "ci")))
  p <- out$estimate
  out$logit <- ci("xlogit"); out[["Korn-Graubard"]] <- ci("beta"); out$normal <- ci("mean")
  if (!inherits(d, "svyrep.design")) out$glm_logit <- ci("logit")
  n <- p * (1 - p) / out$standard_error^2
  t <- qt((1 + level) / 2, degf(d))
  # Wilson with the t quantile: prop.test takes only a normal level, which is 1 at machine precision for very few df
  if (t < 5) out$Wilson <- suppressWarnings(as.numeric(
    prop.test(p * n, n, conf.level = 2 * pnorm(t) - 1, correct = FALSE)$conf.int))
  out
}
measure <- function(d, a) {
  d <- update(d, y = d$variables[[a$y]])
  level <- if (is.null(a$probability)) 0.95 else a$probability
  switch(a$quantity,
    proportion = { out <- numbers(svymean(~y, d, deff = "replace"), d)
      if (out$estimate > 0 && out$estimate < 1 && degf(d) > 0) extra(out, d, level) else out },
    mean = numbers(svymean(~y, d, deff = "replace"), d),
    total = numbers(svytotal(~y, d, deff = "replace"), d),
    ratio = { r <- svyratio(~y, reformulate(a$x), d)
      e <- as.numeric(coef(r)); s <- as.numeric(SE(r)); t <- qt(0.975, degf(d))
      list(estimate = e, standard_error = s, n = nrow(d), degrees_of_freedom = degf(d),
           normal = c(e - t * s, e + t * s)) })
}
add <- function(name, y = "y", quantity = "proportion", x = NULL, weight = "weight", stratum = "stratum", psu = "psu",
                lonely_psu = "centred", where = NULL, keep = NULL, probability = NULL) {
  a <- list(y = y, quantity = quantity, x = x, weight = weight, stratum = stratum, psu = psu, lonely_psu = lonely_psu,
            where = where, keep = if (is.null(keep)) NULL else I(keep), probability = probability)
  data <- children
  if (!is.null(keep)) data <- data[data$country %in% keep, ]      # another sample
  d <- design(data, a)
  if (!is.null(where)) d <- d[with(data, eval(parse(text = where))), ]   # a domain of the same sample
  cases[[name]] <<- list(args = a, r = measure(d, a))
}

sound <- c("Aldova", "Dunmark")
add("overall, no lonely stratum", keep = sound, lonely_psu = "error")
for (country in unique(children$country)) add(paste("country", country), where = sprintf("country == '%s'", country))
for (g in c("boy", "girl")) for (p in c("certainty", "centred"))
  add(paste("gender", g, p), where = sprintf("gender == '%s'", g), lonely_psu = p)
for (country in c("Borland", "Cirra")) for (p in c("certainty", "average", "centred", "merge")) {
  add(paste(country, p), keep = country, lonely_psu = p)
  add(paste(country, p, "girls"), keep = country, lonely_psu = p, where = "gender == 'girl'")
  add(paste(country, p, "total"), keep = country, lonely_psu = p, y = "hours", quantity = "total")
  add(paste(country, p, "ratio, boys"),
      keep = country, lonely_psu = p, y = "incidents", quantity = "ratio", x = "hours", where = "gender == 'boy'")
}
add("small domain", where = "age == 12 & gender == 'girl'")
add("very small domain", where = "age == 17 & gender == 'boy' & country == 'Dunmark'")
add("domain within few strata", where = "stratum %in% c('A1', 'B3')", lonely_psu = "certainty")
add("domain in one stratum", where = "stratum == 'D2'", lonely_psu = "certainty")
add("domain in one PSU", where = "psu == 'A003'", lonely_psu = "certainty")
add("follow-up base", y = "z", where = "y == 1")
add("answered only", where = "answered == 1")
add("zero weights", weight = "weight_zero")
add("zero weights, girls", weight = "weight_zero", where = "gender == 'girl'")
add("zero weights, mean", weight = "weight_zero", y = "hours", quantity = "mean")
add("zero weights, total", weight = "weight_zero", y = "y", quantity = "total", where = "country == 'Aldova'")
add("no strata", stratum = NULL)
add("no strata, 14 and over", stratum = NULL, where = "age >= 14")
add("no PSU", psu = NULL)
add("no PSU, country Cirra, boys", psu = NULL, where = "country == 'Cirra' & gender == 'boy'")
add("no PSU and no strata", psu = NULL, stratum = NULL)
add("no PSU and no strata, zero weights, girls",
    psu = NULL, stratum = NULL, weight = "weight_zero", where = "gender == 'girl'")
add("0 %", y = "never"); add("100 %", y = "always")
add("0 % of girls", y = "never", where = "gender == 'girl' & country == 'Dunmark'")
add("mean", y = "hours", quantity = "mean")
add("mean, girls", y = "hours", quantity = "mean", where = "gender == 'girl'")
add("mean, no PSU", y = "hours", quantity = "mean", psu = NULL)
add("total of cases", quantity = "total", lonely_psu = "certainty")
add("total of hours, girls", y = "hours", quantity = "total", where = "gender == 'girl'")
add("total, no PSU", y = "hours", quantity = "total", psu = NULL)
add("ratio", y = "incidents", quantity = "ratio", x = "hours")
add("ratio, girls", y = "incidents", quantity = "ratio", x = "hours", where = "gender == 'girl'")
add("ratio, no PSU", y = "incidents", quantity = "ratio", x = "hours", psu = NULL)
add("probability 0.9", keep = sound, lonely_psu = "error", probability = 0.9)
add("probability 0.99, girls", keep = sound, lonely_psu = "error", probability = 0.99, where = "gender == 'girl'")

# countries are separate samples: "average" over two countries, each country's design averaged by itself
separate <- function(name, where) {
  options(survey.lonely.psu = "average")
  data <- children; inside <- with(data, eval(parse(text = where)))
  p <- sum(data$weight[inside] * data$y[inside]) / sum(data$weight[inside])
  data$res <- inside * (data$y - p) / sum(data$weight[inside])
  v <- 0
  for (country in unique(data$country)) {
    part <- data[data$country == country, ]
    d <- svydesign(ids = ~psu, strata = ~cs, weights = ~weight, data = part)
    d <- d[with(part, eval(parse(text = where))), ]
    v <- v + as.numeric(SE(svytotal(~res, d)))^2
  }
  cases[[name]] <<- list(args = list(y = "y", quantity = "proportion", weight = "weight",
    stratum = "stratum", psu = "psu",
    lonely_psu = "average", where = where), r = list(estimate = p, standard_error = sqrt(v), n = sum(inside)))
}
separate("average within countries, all", "age > 0"); separate("average within countries, girls", "gender == 'girl'")

# covariances: indicators answered by the same children, and domains of one sample
covariance <- function(lonely_psu, psu = "psu", where = "age > 0") {
  a <- list(weight = "weight", stratum = "stratum", psu = psu, lonely_psu = lonely_psu, where = where)
  d <- design(children, a); d <- d[with(children, eval(parse(text = where))), ]
  m <- svymean(~y + z + answered, d)
  list(args = c(a, list(columns = c("y", "z", "answered"))), estimate = as.numeric(coef(m)),
    covariance = unname(vcov(m)))
}
joint <- list("three indicators" = covariance("centred"),
              "three indicators, girls" = covariance("certainty", where = "gender == 'girl'"),
              "three indicators, no PSU" = covariance("centred", psu = NULL))
a <- list(weight = "weight", stratum = "stratum", psu = "psu", lonely_psu = "centred")
r <- svyby(~y, ~gender, design(children, a), svymean, covmat = TRUE)
domains <- list(args = a, estimate = as.numeric(coef(r)), covariance = unname(vcov(r)))

# replicate weights
replicates <- list()
rscales <- rep(1 / 2, 12)
kinds <- list("jackknife-1" = list("^jk1_", "JK1", NULL, NULL), "jackknife-n" = list("^jkn_", "JKn", rscales, NULL),
  "bootstrap" = list("^boot_", "bootstrap", NULL, NULL),
  "brr" = list("^brr_", "BRR", NULL, NULL), "fay" = list("^fay_", "Fay", NULL, 0.3))
add_rep <- function(kind, mse, quantity, where, y = "y", x = NULL, probability = NULL) {
  k <- kinds[[kind]]
  d <- suppressWarnings(svrepdesign(weights = ~weight, repweights = k[[1]], type = k[[2]],
    rscales = k[[3]], rho = k[[4]],
    combined.weights = TRUE, mse = mse, data = repl))
  if (!is.null(where)) d <- d[with(repl, eval(parse(text = where))), ]
  a <- list(kind = kind, mse = mse, quantity = quantity, where = where, y = y, x = x, rscales = k[[3]], fay = k[[4]],
            pattern = sub("\\^", "", k[[1]]), probability = probability)
  name <- paste(kind, if (mse) "mse" else "mean", quantity, if (is.null(where)) "all" else where)
  replicates[[name]] <<- list(args = a, r = suppressWarnings(measure(d, a)))
}
for (kind in names(kinds)) for (mse in c(TRUE, FALSE)) {
  add_rep(kind, mse, "proportion", NULL)
  add_rep(kind, mse, "proportion", "gender == 'girl'")
  add_rep(kind, mse, "ratio", NULL, y = "incidents", x = "hours")
  add_rep(kind, mse, "mean", "gender == 'boy'", y = "hours")
  add_rep(kind, mse, "total", "gender == 'boy'", y = "hours")
}
add_rep("jackknife-n", TRUE, "proportion", "stratum == 1")
add_rep("jackknife-1", TRUE, "mean", "few == 'few'", y = "hours")
add_rep("jackknife-1", FALSE, "mean", "few == 'few'", y = "hours")
add_rep("brr", TRUE, "mean", "few == 'few'", y = "hours")
add_rep("brr", FALSE, "mean", "few == 'few'", y = "hours")

write_json(list(r_version = R.version.string, survey = as.character(packageVersion("survey")),
    date = format(Sys.Date()),
  synthetic = TRUE, cases = cases, joint = joint, domains = domains, replicates = replicates),
  file.path(here, "survey.json"),
  auto_unbox = TRUE, digits = NA, null = "null", na = "null", pretty = TRUE)
cat(length(cases), "cases,", length(joint) + 1, "covariances,", length(replicates), "with replicate weights\n")
