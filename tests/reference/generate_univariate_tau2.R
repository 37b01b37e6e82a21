# Pinned answers of metafor: every estimator of tau2, with and without a moderator, user weights, fit statistics.
#
#   Rscript generate_univariate_tau2.R          # from any folder, after generate_univariate.R
#
# writes metafor_univariate_tau2.json next to itself: the data sets of metafor_univariate.json and more of metadat.
# Needs R with metafor, metadat and jsonlite. Only calls public functions and records what they answer.

options(warn = 1, stringsAsFactors = FALSE)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

METHODS <- c("DL", "HE", "HS", "HSk", "SJ", "GENQ", "PM", "EB", "SJIT", "DLIT", "PMM", "ML", "REML")
SCORING <- c("EB", "ML", "REML")
THRESHOLDS <- 10^-(14:8)      # Fisher scoring: first one that converges is used

tight <- function(method, ...) {
  ctl <- list(tol = 1e-14, maxiter = 10000)
  if (method %in% c("PM", "PMM", "GENQ")) ctl$tau2.max <- 1e6
  if (method %in% SCORING) ctl$stepadj <- 0.5
  if (method %in% c("SJIT", "DLIT")) ctl$maxiter <- 1000
  for (th in if (method %in% SCORING) THRESHOLDS else 1e-14) {
    ctl$threshold <- th
    fit <- suppressWarnings(try(rma(..., method = method, control = ctl), silent = TRUE))
    if (!inherits(fit, "try-error")) return(fit)
  }
  NULL
}

num <- function(x) if (is.null(x)) NULL else as.numeric(x)

part <- function(fit) {
  if (is.null(fit)) return(NULL)
  list(tau2 = fit$tau2, beta = I(num(fit$beta)), se = I(num(fit$se)))
}

stats_part <- function(fit) {
  if (is.null(fit)) return(NULL)
  f <- fit$fit.stats
  list(ML = I(num(f[, "ML"])), REML = I(num(f[, "REML"])))
}

one <- function(yi, vi) {
  k <- length(yi)
  x <- (seq_len(k) * 7) %% 5
  w <- 1 + seq_len(k) %% 3
  out <- list(k = k, yi = yi, vi = vi)
  for (m in METHODS) {
    if (m == "GENQ") fit <- tight(m, yi, vi, weights = 1 / sqrt(vi)) else fit <- tight(m, yi, vi)
    # the weights of GENQ also replace those of the mean: only tau2 is compared
    out$mean[[m]] <- part(fit)
    if (m %in% c("ML", "REML")) out$statistics[[m]] <- stats_part(fit)
    if (k > 4) {
      if (m == "GENQ") fit <- tight(m, yi, vi, mods = x, weights = 1 / sqrt(vi)) else fit <- tight(m, yi, vi, mods = x)
      out$line[[m]] <- part(fit)
      if (m %in% c("ML", "REML")) out$line_statistics[[m]] <- stats_part(fit)
    }
  }
  out$weights <- list(z = part(tight("REML", yi, vi, weights = w)), knha = part(tight("REML", yi, vi, weights = w, test = "knha")),
                      GENQ = part(tight("GENQ", yi, vi, weights = w)))
  if (k > 4) out$weights$line <- part(tight("REML", yi, vi, weights = w, mods = x))
  out$ivhet <- part(tight("DL", yi, vi, weights = 1 / vi))
  out$given <- part(rma(yi, vi, tau2 = 0.04))
  out
}

cases <- list()
add <- function(name, d, y = d$yi, v = d$vi) {
  ok <- is.finite(y) & is.finite(v) & v > 0
  cases[[name]] <<- one(as.numeric(y[ok]), as.numeric(v[ok]))
  message(name, "  k=", sum(ok))
}

old <- jsonlite::fromJSON(file.path(here, "metafor_univariate.json"))
for (set in c("cases", "hard_cases"))
  for (name in names(old[[set]]))
    if (!startsWith(name, "planck") && name != "no_spread")   # too small for absolute stopping rules: see README
      add(name, NULL, old[[set]][[name]]$yi, old[[set]][[name]]$vi)

tab <- function(measure, d) escalc(measure, ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = d)
add("dat.aloe2013", escalc("PCOR", ti = tval, ni = n, mi = preds, data = dat.aloe2013))
add("dat.anand1999", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.anand1999))
add("dat.assink2016", dat.assink2016)
add("dat.axfors2021", escalc("OR", ai = hcq_arm_event, n1i = hcq_arm_total, ci = control_arm_event,
    n2i = control_arm_total, data = dat.axfors2021))
add("dat.begg1989", dat.begg1989)
add("dat.berkey1998", dat.berkey1998)
add("dat.bornmann2007", escalc("OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal, data = dat.bornmann2007))
add("dat.colditz1994", escalc("OR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.colditz1994))
add("dat.craft2003", escalc("ZCOR", ri = ri, ni = ni, data = dat.craft2003))
add("dat.crede2010", escalc("ZCOR", ri = ri, ni = ni, data = dat.crede2010))
add("dat.dagostino1998", escalc("SMD", m1i = mt, sd1i = sdt, n1i = nt, m2i = mc, sd2i = sdc, n2i = nc,
    data = dat.dagostino1998))
add("dat.debruin2009", escalc("PLO", xi = xi, ni = ni, data = dat.debruin2009))
add("dat.dorn2007", escalc("RR", ai = x.a, n1i = n.a, ci = x.p, n2i = n.p, data = dat.dorn2007))
add("dat.fine1993", escalc("RD", ai = e1i, n1i = nei, ci = c1i, n2i = nci, data = dat.fine1993))
add("dat.gibson2002", escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i,
    data = dat.gibson2002))
add("dat.hahn2001", tab("RR", dat.hahn2001))
add("dat.hannum2020", escalc("PR", xi = xi, ni = ni, data = dat.hannum2020))
add("dat.hartmannboyce2018", escalc("RR", ai = x.nrt, n1i = n.nrt, ci = x.ctrl, n2i = n.ctrl,
    data = dat.hartmannboyce2018))
add("dat.hasselblad1998", escalc("PLO", xi = xi, ni = ni, data = dat.hasselblad1998))
add("dat.ishak2007", NULL, dat.ishak2007$y1i, dat.ishak2007$v1i)
add("dat.kalaian1996", dat.kalaian1996)
add("dat.kearon1998", escalc("PLO", xi = tp, ni = np, data = dat.kearon1998))
add("dat.knapp2017", dat.knapp2017)
add("dat.laopaiboon2015", tab("RR", dat.laopaiboon2015))
add("dat.lau1992", tab("OR", dat.lau1992))
add("dat.lehmann2018", dat.lehmann2018)
add("dat.linde2016", NULL, dat.linde2016$lnOR, dat.linde2016$selnOR^2)
add("dat.michael2013", dat.michael2013)
add("dat.nakagawa2007", escalc("ZCOR", ri = Correlation, ni = SampleSize, data = dat.nakagawa2007))
add("dat.obrien2003", escalc("PLO", xi = cases, ni = total, data = dat.obrien2003))
add("dat.pagliaro1992", escalc("PLO", xi = xi, ni = ni, data = dat.pagliaro1992))
add("dat.riley2003", dat.riley2003)
add("dat.senn2013", escalc("MN", mi = mi, sdi = sdi, ni = ni, data = dat.senn2013))
add("dat.stowe2010", escalc("MD", m1i = y1, sd1i = sd1, n1i = n1, m2i = y2, sd2i = sd2, n2i = n2, data = dat.stowe2010))
add("dat.tannersmith2016", dat.tannersmith2016)
add("dat.vanhowe1999", escalc("OR", ai = non.pos, bi = non.neg, ci = cir.pos, di = cir.neg, data = dat.vanhowe1999))
add("dat.viechtbauer2021", escalc("OR", ai = xTi, n1i = nTi, ci = xCi, n2i = nCi, data = dat.viechtbauer2021))
add("dat.white2020", escalc("ZCOR", ri = r, ni = n, data = dat.white2020))
add("dat.woods2010", escalc("PLO", xi = r, ni = N, data = dat.woods2010))

json <- jsonlite::toJSON(
  list(meta = list(generator = "generate_univariate_tau2.R", r_version = R.version.string,
                   metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat"))),
       cases = cases),
  digits = I(17), auto_unbox = TRUE, null = "null", na = "null", always_decimal = FALSE)
json <- gsub("},\"", "},\n\"", json, fixed = TRUE)
writeLines(json, file.path(here, "metafor_univariate_tau2.json"))
