# Pinned answers of metafor: every estimator of tau2 x test of the mean x interval, on the data sets already pinned.
#
#   Rscript generate_grid.R          # from any folder, after generate_univariate_tau2.R
#
# reads metafor_univariate_tau2.json and writes metafor_grid.json next to itself. Needs R with metafor and jsonlite.
# Only calls public functions and records what they answer.

options(warn = 1, stringsAsFactors = FALSE)
suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

METHODS <- c("DL", "HE", "HS", "HSk", "SJ", "GENQ", "PM", "EB", "SJIT", "DLIT", "PMM", "ML", "REML", "EE")
TESTS <- c("z", "t", "knha", "adhoc")
SCORING <- c("EB", "ML", "REML")
THRESHOLDS <- 10^-(14:8)      # Fisher scoring: first one that converges is used

tight <- function(method, yi, vi, ...) {
  ctl <- list(tol = 1e-14, maxiter = 10000)
  if (method %in% c("PM", "PMM", "GENQ")) ctl$tau2.max <- 1e6
  if (method %in% SCORING) ctl$stepadj <- 0.5
  if (method %in% c("SJIT", "DLIT")) ctl$maxiter <- 1000
  for (th in if (method %in% SCORING) THRESHOLDS else 1e-14) {
    ctl$threshold <- th
    fit <- if (method == "GENQ") {
      suppressWarnings(try(rma(yi, vi, method = method, weights = 1 / sqrt(vi), control = ctl, ...), silent = TRUE))
    } else {
      suppressWarnings(try(rma(yi, vi, method = method, control = ctl, ...), silent = TRUE))
    }
    if (!inherits(fit, "try-error")) return(fit)
  }
  NULL
}

num <- function(...) I(as.numeric(c(...)))

foreseen <- function(fit, ...) {
  got <- suppressWarnings(try(predict(fit, ...), silent = TRUE))
  if (inherits(got, "try-error") || is.null(got$pi.lb)) return(num(NA, NA))
  num(got$pi.lb, got$pi.ub)
}

tested <- function(fit) {
  out <- list(mean = num(fit$se, fit$zval, fit$pval, fit$ci.lb, fit$ci.ub))
  if (fit$method != "EE") {
    out$pi <- foreseen(fit)
    if (fit$test != "z" && fit$k > 2) out$riley <- foreseen(fit, pi.type = "riley")
  }
  out
}

limits <- function(fit, ...) {
  most <- max(100, 1e5 * max(var(fit$yi), mean(fit$vi)))
  got <- suppressWarnings(try(confint(fit, ..., control = list(tol = 1e-14, maxiter = 10000, tau2.max = most)), silent = TRUE))
  if (inherits(got, "try-error")) return(NULL)
  r <- got$random                # rows tau^2, tau, I^2(%), H^2
  list(tau2 = num(r[1, 2:3]), i2 = num(r[3, 2:3]), h2 = num(r[4, 2:3]))
}

one <- function(yi, vi) {
  out <- list()
  for (m in METHODS) {
    fits <- lapply(TESTS, function(test) tight(m, yi, vi, test = test))
    if (any(vapply(fits, is.null, TRUE))) next
    first <- fits[[1]]
    out$methods[[m]] <- list(tau2 = first$tau2, beta = as.numeric(first$beta), i2 = first$I2, h2 = first$H2,
                             tests = setNames(lapply(fits, tested), TESTS))
    if (m %in% c("DL", "PM", "ML", "REML")) out$QP[[m]] <- limits(first, type = "QP")
    if (m %in% c("ML", "REML")) out$PL[[m]] <- limits(first, type = "PL")
  }
  out
}

given <- fromJSON(file.path(here, "metafor_univariate_tau2.json"))$cases
cases <- list()
for (name in names(given)) {
  cases[[name]] <- one(as.numeric(given[[name]]$yi), as.numeric(given[[name]]$vi))
  message(name)
}

json <- toJSON(
  list(meta = list(generator = "generate_grid.R", r_version = R.version.string,
                   metafor = as.character(packageVersion("metafor")), level = 0.95), cases = cases),
  digits = I(17), auto_unbox = TRUE, null = "null", na = "null", always_decimal = FALSE)
json <- gsub("},\"", "},\n\"", json, fixed = TRUE)
writeLines(json, file.path(here, "metafor_grid.json"))
