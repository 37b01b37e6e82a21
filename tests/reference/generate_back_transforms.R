# Pooled effects of metafor on the natural scale (predict with transf), with those of every study, written to
# back_transforms.json. Run in this folder: Rscript generate_back_transforms.R. A second run gives the same bytes.

suppressMessages(library(metafor))
OUT <- "back_transforms.json"
CONTROL <- list(threshold = 1e-14, tol = 1e-14, stepadj = .5)
LEVEL <- qnorm(.975)

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
list_of <- function(x) paste0("[", paste(number(as.numeric(x)), collapse = ", "), "]")

xi <- c(3, 12, 0, 25, 7, 41, 2, 18, 9)
ni <- c(41, 80, 23, 160, 66, 118, 19, 204, 35)
ti <- c(310.5, 612, 150.25, 905, 402, 733.5, 98, 1210, 277)
ri <- c(.31, .52, -.08, .44, .61, .12, .7, .35, .27)
ai <- c(.81, .77, .9, .68, .84, .86, .73, .79, .88)
mi <- rep(10, 9)
m1i <- c(12.1, 30.4, 8.8, 21, 15.5, 9.9, 41, 18.2, 11.3)
sdi <- c(3.2, 8.1, 2.9, 6.6, 5, 3.1, 12.4, 4.4, 2.7)

hm <- function(x) 1 / mean(1 / x)
one <- function(measure, inputs, way, size = NULL) {
  data <- do.call(escalc, c(list(measure = measure), inputs))
  fit <- rma(yi, vi, data = data, method = "REML", control = CONTROL)
  back <- function(x, n) if (is.null(size)) way(x) else way(x, n)
  said <- predict(fit)
  n <- if (is.null(size)) NULL else hm(size)
  pooled <- sapply(c(said$pred, said$ci.lb, said$ci.ub, said$pi.lb, said$pi.ub), back, n)
  se <- sqrt(data$vi)
  at <- function(x) mapply(back, x, if (is.null(size)) rep(NA, length(x)) else size)
  ends <- rbind(at(data$yi), at(data$yi - LEVEL * se), at(data$yi + LEVEL * se))
  paste0(
    "  {\"measure\": \"", measure, "\", \"inputs\": {",
    paste(sprintf("\"%s\": %s", names(inputs), sapply(inputs, list_of)), collapse = ", "), "},\n",
    "   \"pooled\": ", list_of(pooled), ",\n",
    "   \"point\": ", list_of(ends[1, ]), ",\n   \"lower\": ", list_of(ends[2, ]), ",\n   \"upper\": ", list_of(ends[3, ]), "}"
  )
}

counts <- list(xi = xi, ni = ni)
rates <- list(xi = xi, ti = ti)
alphas <- list(ai = ai, mi = mi, ni = ni)
cases <- c(
  one("PLO", counts, transf.ilogit),
  one("PLN", counts, exp),
  one("PAS", counts, transf.iarcsin),
  one("PFT", counts, function(x, n) transf.ipft(x, n), ni),
  one("IRLN", rates, exp),
  one("IRS", rates, transf.isqrt),
  one("IRFT", rates, function(x, n) transf.iirft(x, n), ti),
  one("ZCOR", list(ri = ri, ni = ni), transf.ztor),
  one("ABT", alphas, transf.iabt),
  one("AHW", alphas, transf.iahw),
  one("MNLN", list(mi = m1i, sdi = sdi, ni = ni), exp)
)
# the harmonic mean of transf.ipft.hm must be the one of this file
direct <- predict(rma(yi, vi, data = escalc("PFT", xi = xi, ni = ni), control = CONTROL),
                  transf = transf.ipft.hm, targs = list(ni = ni))
stopifnot(abs(direct$pred - transf.ipft(rma(yi, vi, data = escalc("PFT", xi = xi, ni = ni), control = CONTROL)$beta[1], hm(ni))) < 1e-14)

writeLines(c(
  sprintf("{\"r\": \"%s\", \"metafor\": \"%s\", \"cases\": [", getRversion(), packageVersion("metafor")),
  paste(cases, collapse = ",\n"), "]}"
), OUT)
