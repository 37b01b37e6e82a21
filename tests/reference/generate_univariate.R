# Pinned reference results of metafor for the univariate engine.
#
#   Rscript generate_univariate.R          # from any folder
#
# writes, next to itself:
#   metafor_univariate.json   32 data sets of metadat (+ "hard_cases")
#   effect_sizes.json         effect sizes and sampling variances of escalc()
#
# Needs R with the packages metafor and metadat. Only calls their public
# functions and records what they answer. No date or random number goes into
# the files, so a second run with the same versions gives the same bytes.

options(warn = 1, stringsAsFactors = FALSE)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

# ---------------------------------------------------------------- JSON writer
# (17 significant digits: every double comes back bit for bit;
#  NA, NaN and infinities become null)

arr <- function(x) structure(list(x), class = "json_array")

json_string <- function(s) {
  s <- enc2utf8(as.character(s))
  s <- gsub("\\", "\\\\", s, fixed = TRUE)
  s <- gsub("\"", "\\\"", s, fixed = TRUE)
  s <- gsub("\n", "\\n", s, fixed = TRUE)
  s <- gsub("\t", "\\t", s, fixed = TRUE)
  s <- gsub("[[:cntrl:]]", "", s)
  paste0("\"", s, "\"")
}

json_scalar <- function(x) {
  if (length(x) != 1L) stop("not a scalar")
  if (is.null(x) || is.na(x)) return("null")
  if (is.logical(x)) return(if (x) "true" else "false")
  if (is.character(x)) return(json_string(x))
  x <- as.numeric(x)
  if (!is.finite(x)) return("null")
  sprintf("%.17g", x)
}

to_json <- function(x, indent = 0L) {
  pad <- strrep(" ", indent + 1L)
  end <- strrep(" ", indent)
  if (is.null(x)) return("null")
  if (inherits(x, "json_array")) {
    v <- unclass(x)[[1]]
    return(paste0("[", paste(vapply(as.list(v), json_scalar, ""), collapse = ", "), "]"))
  }
  if (is.list(x)) {
    if (length(x) == 0L) return("{}")
    if (is.null(names(x))) {
      inner <- vapply(x, to_json, "", indent = indent + 1L)
      return(paste0("[\n", paste0(pad, inner, collapse = ",\n"), "\n", end, "]"))
    }
    inner <- vapply(seq_along(x), function(i)
      paste0(json_string(names(x)[i]), ": ", to_json(x[[i]], indent + 1L)), "")
    return(paste0("{\n", paste0(pad, inner, collapse = ",\n"), "\n", end, "}"))
  }
  if (length(x) == 1L) return(json_scalar(x))
  to_json(arr(x), indent)
}

write_json <- function(x, file) {
  con <- file(file.path(here, file), "wb")
  on.exit(close(con))
  writeLines(enc2utf8(to_json(x)), con, useBytes = TRUE)
}

# -------------------------------------------------------------------- options

THRESHOLDS <- 10^-(14:8)      # Fisher scoring: first one that converges is used
BASE <- list(tol = 1e-14, stepadj = 0.5, maxiter = 10000)

heard <- character()
listen <- function(expr) {
  # value, or NULL after an error; warnings and errors go to `heard`
  tryCatch(
    withCallingHandlers(expr,
      warning = function(w) {
        heard <<- unique(c(heard, paste("warning:", gsub("\n", " ", conditionMessage(w)))))
        invokeRestart("muffleWarning")
      }),
    error = function(e) {
      heard <<- unique(c(heard, paste("error:", gsub("\n", " ", conditionMessage(e)))))
      NULL
    })
}

tau2_max <- function(yi, vi) max(100, 1e5 * max(var(yi), mean(vi)), na.rm = TRUE)

fit_tight <- function(yi, vi, method, test) {
  ctl <- BASE
  if (method == "PM" && length(yi) > 1) ctl$tau2.max <- tau2_max(yi, vi)
  if (method != "REML")
    return(list(fit = listen(rma(yi, vi, method = method, test = test, control = ctl)),
                threshold = NA))
  for (th in THRESHOLDS) {
    ctl$threshold <- th
    before <- heard
    fit <- listen(rma(yi, vi, method = method, test = test, control = ctl))
    if (!is.null(fit)) return(list(fit = fit, threshold = th))
    if (th != tail(THRESHOLDS, 1)) heard <<- before   # looser threshold follows
  }
  list(fit = NULL, threshold = NA)
}

num <- function(x) if (is.null(x) || length(x) == 0L) NA_real_ else as.numeric(x)[1]

test_part <- function(fit, df = FALSE) {
  if (is.null(fit)) return(NULL)
  out <- list(se = num(fit$se), statistic = num(fit$zval), p_value = num(fit$pval),
              ci_low = num(fit$ci.lb), ci_high = num(fit$ci.ub))
  if (df) out$df <- num(fit$ddf)
  out
}

interval <- function(fit, ...) {
  if (is.null(fit)) return(NULL)
  p <- listen(predict(fit, ...))
  if (is.null(p)) return(NULL)
  arr(c(num(p$pi.lb), num(p$pi.ub)))
}

q_profile <- function(fit, level, top) {
  ci <- listen(confint(fit, level = level,
                       control = list(tol = 1e-14, maxiter = 10000, tau2.max = top)))
  if (is.null(ci)) return(NULL)
  r <- ci$random
  list(tau2_low = r["tau^2", "ci.lb"], tau2_high = r["tau^2", "ci.ub"],
       i2_low = r["I^2(%)", "ci.lb"], i2_high = r["I^2(%)", "ci.ub"],
       h2_low = r["H^2", "ci.lb"], h2_high = r["H^2", "ci.ub"],
       null_set = isTRUE(ci$ci.null), low_sign = ci$lb.sign, high_sign = ci$ub.sign)
}

random_part <- function(yi, vi, method) {
  heard <<- character()
  z <- fit_tight(yi, vi, method, "z")
  t <- fit_tight(yi, vi, method, "t")$fit
  h <- fit_tight(yi, vi, method, "knha")$fit
  f <- z$fit
  top <- tau2_max(yi, vi)
  out <- list(tau2 = num(f$tau2), mean = num(f$beta),
              wald_z = test_part(f), wald_t = test_part(t, TRUE), hksj = test_part(h, TRUE),
              i2 = num(f$I2), h2 = num(f$H2),
              loglik_reml = if (is.null(f)) NA else num(logLik(f, REML = TRUE)),
              loglik_ml = if (is.null(f)) NA else num(logLik(f, REML = FALSE)))
  if (!is.null(f))
    out$tau2_ci <- list("0.95" = q_profile(f, 95, top), "0.9" = q_profile(f, 90, top))
  out$pi <- list("z" = interval(f), "t(k-1)" = interval(t),
                 "t(k-2)" = interval(t, pi.type = "riley"))
  out$pi_hksj <- interval(h)
  kept <- heard
  heard <<- character()
  d <- listen(rma(yi, vi, method = method))
  out$tau2_default_control <- num(d$tau2)
  out$default_control_messages <- arr(heard)
  heard <<- kept
  out$threshold_used <- z$threshold
  out$tau2_max_used <- top
  out$messages <- arr(heard)
  out
}

equal_part <- function(yi, vi) {
  f <- rma(yi, vi, method = "EE")
  list(mean = num(f$beta), se = num(f$se), statistic = num(f$zval), p_value = num(f$pval),
       ci_low = num(f$ci.lb), ci_high = num(f$ci.ub),
       q = num(f$QE), q_df = f$k - f$p, q_p_value = num(f$QEp),
       i2 = num(f$I2), h2 = num(f$H2),
       loglik_ml = num(logLik(f, REML = FALSE)), loglik_reml = num(logLik(f, REML = TRUE)))
}

subgroup_part <- function(yi, vi, group) {
  levels <- sort(unique(group), method = "radix")
  out <- list(group = arr(group))
  for (method in c("DL", "PM", "REML")) {
    heard <<- character()
    both <- lapply(levels, function(g)
      fit_tight(yi[group == g], vi[group == g], method, "z"))
    fits <- lapply(both, function(b) b$fit)
    take <- function(what) vapply(fits, function(f) num(f[[what]]), 0)
    est <- take("beta"); se <- take("se")
    b <- listen(rma(est, sei = se, method = "FE"))
    out[[method]] <- list(levels = arr(levels),
                          k = arr(vapply(levels, function(g) sum(group == g), 0L)),
                          tau2 = arr(take("tau2")), mean = arr(est), se = arr(se),
                          q = num(b$QE), df = length(levels) - 1, p_value = num(b$QEp),
                          threshold_used = arr(vapply(both, function(b) as.numeric(b$threshold), 0)),
                          messages = arr(heard))
  }
  out
}

one_case <- function(yi, vi, group, measure, source, factor_name) {
  yi <- as.numeric(yi); vi <- as.numeric(vi); group <- as.character(group)
  ok <- is.finite(yi) & is.finite(vi) & !is.na(group)
  yi <- yi[ok]; vi <- vi[ok]; group <- group[ok]
  list(measure = measure, source = source, group_factor = factor_name,
       k = length(yi), yi = arr(yi), vi = arr(vi),
       equal = equal_part(yi, vi),
       random = list(DL = random_part(yi, vi, "DL"), PM = random_part(yi, vi, "PM"),
                     REML = random_part(yi, vi, "REML")),
       subgroups = subgroup_part(yi, vi, group))
}

# ------------------------------------------------------------------ data sets

cases <- list()
add <- function(name, dat, measure, group = NULL, source = name) {
  yi <- as.numeric(dat$yi); vi <- as.numeric(dat$vi)
  ok <- is.finite(yi) & is.finite(vi)
  dropped <- sum(!ok)
  yi <- yi[ok]; vi <- vi[ok]
  if (is.null(group)) {
    g <- ifelse(seq_along(yi) %% 2 == 1, "odd", "even"); label <- "odd/even row"
  } else {
    g <- as.character(dat[[group]][ok]); label <- group
    g[is.na(g)] <- "missing"
  }
  one <- one_case(yi, vi, g, measure, source, label)
  one$rows_dropped <- dropped
  cases[[name]] <<- one
  message(name, "  k=", length(yi))
}
nv <- function(d, y, v) { d$yi <- y; d$vi <- v; d }

add("dat.bcg", escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg),
    "RR", "alloc")
add("dat.normand1999", escalc("MD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i,
    sd2i = sd2i, n2i = n2i, data = dat.normand1999), "MD")
add("dat.normand1999_smd", escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i,
    sd2i = sd2i, n2i = n2i, data = dat.normand1999), "SMD", source = "dat.normand1999")
add("dat.hackshaw1998", dat.hackshaw1998, "OR", "design")
add("dat.hine1989", escalc("RD", n1i = n1i, n2i = n2i, ai = ai, ci = ci,
    data = dat.hine1989), "RD")
add("dat.collins1985b", escalc("OR", n1i = pre.nti, n2i = pre.nci, ai = pre.xti,
    ci = pre.xci, data = dat.collins1985b), "OR", "oedema")
add("dat.collins1985a", escalc("RD", ai = d.xti, n1i = nti, ci = d.xci, n2i = nci,
    data = dat.collins1985a), "RD", "ctrl")
add("dat.raudenbush1985", dat.raudenbush1985, "SMD", "setting")
add("dat.bangertdrowns2004", dat.bangertdrowns2004, "SMD", "grade")
add("dat.curtis1998", escalc("ROM", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i,
    sd2i = sd2i, n2i = n2i, data = dat.curtis1998), "ROM", "fungrp")
add("dat.molloy2014", escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014),
    "ZCOR", "design")
add("dat.egger2001", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.egger2001), "OR")
add("dat.li2007", escalc("RD", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.li2007), "RD")
add("dat.linde2005", escalc("RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.linde2005), "RR", "group")
add("dat.mcdaniel1994", escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994),
    "ZCOR", "struct")
add("dat.pignon2000", nv(dat.pignon2000, dat.pignon2000$OmE / dat.pignon2000$V,
    1 / dat.pignon2000$V), "log HR (O-E, V)", "grp")
add("dat.lopez2019", nv(dat.lopez2019, dat.lopez2019$diff, dat.lopez2019$se^2),
    "standardized mean change within arms (diff, se^2)", "group")
add("dat.bonett2010", escalc("ABT", ai = ai, mi = mi, ni = ni, data = dat.bonett2010),
    "ABT", "caregivers")
add("dat.konstantopoulos2011", dat.konstantopoulos2011, "SMD", "district")
add("dat.konstantopoulos2011_district71",
    dat.konstantopoulos2011[dat.konstantopoulos2011$district == 71, ], "SMD",
    source = "dat.konstantopoulos2011, rows with district 71")
add("dat.cannon2006", escalc("OR", ai = ep1t, n1i = nt, ci = ep1c, n2i = nc,
    data = dat.cannon2006), "OR", "pop")
add("dat.yusuf1985_table6", escalc("RD", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.yusuf1985, subset = table == "6"), "RD",
    source = "dat.yusuf1985, table 6")
add("dat.lee2004", escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.lee2004), "OR")
add("dat.nielweise2007", escalc("RR", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.nielweise2007), "RR")
add("dat.nielweise2008", escalc("IRR", x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i,
    data = dat.nielweise2008), "IRR")
add("dat.hart1999", escalc("IRR", x1i = x1i, t1i = t1i, x2i = x2i, t2i = t2i,
    data = dat.hart1999), "IRR", "prevtype")
add("dat.pritz1997", escalc("PFT", xi = xi, ni = ni, data = dat.pritz1997), "PFT")
add("dat.cohen1981", escalc("ZCOR", ri = ri, ni = ni, data = dat.cohen1981), "ZCOR")
add("dat.graves2010", escalc("RD", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
    data = dat.graves2010), "RD")
add("dat.baskerville2012", nv(dat.baskerville2012, dat.baskerville2012$smd,
    dat.baskerville2012$se^2), "SMD", "design")
add("dat.damico2009", escalc("OR", ai = xt, n1i = nt, ci = xc, n2i = nc,
    data = dat.damico2009), "OR", "conceal")
add("dat.landenberger2005", escalc("OR", ai = n.ctrl.rec, bi = n.ctrl.non,
    ci = n.cbt.rec, di = n.cbt.non, data = dat.landenberger2005), "OR", "design")

# Six data sets made to be hard (not from metadat), the third also at 1/1000 and the
# fifth also without its common offset.
main_cases <- cases
cases <- list()
hard <- function(name, y, v)
  add(name, data.frame(yi = y, vi = v), "none", source = "made to be hard")
hard("two_peaks_zero", c(-1, 0.5, -1, 1.5, -0.3), c(.001, 9.538, .014, .325, 1.903))
hard("two_peaks_outlier", c(-2.1, 0.7, 0.9), c(1.322, .002, .004))
hard("scale_1", c(-.47, -1.56, .18, .88, .74, .89, -.05, .52, 2.08, .81),
     c(.663, .66, .125, .068, .971, .094, .509, .887, .704, .556))
hard("scale_0.001",
     c(-.00047, -.00156, .00018, .00088, .00074, .00089, -.00005, .00052, .00208, .00081),
     c(.663e-6, .66e-6, .125e-6, .068e-6, .971e-6, .094e-6, .509e-6, .887e-6, .704e-6,
       .556e-6))
hard("scoring_diverges", c(1.3, 1.94, .7, .36, 1.31, .46, 1.24, .71, .35, .77),
     c(.64, .421, .992, .058, .756, .634, .79, .596, .457, .935))
hard("planck", c(6.626070133, 6.626070059, 6.626069934), c(3.6e-15, 2.7225e-14, 7.921e-15))
# the same numbers less 6.62607: nothing lost to the rounding of yi to doubles
hard("planck_offset", c(1.33e-7, .59e-7, -.66e-7), c(3.6e-15, 2.7225e-14, 7.921e-15))
hard("no_spread", c(.5, .5, .5), c(.1, .2, .3))
hard_cases <- cases

versions <- list(
  r_version = R.version.string,
  metafor = as.character(packageVersion("metafor")),
  metadat = as.character(packageVersion("metadat")))

write_json(list(
  meta = c(list(
    generator = "generate_univariate.R",
    about = paste("Answers of metafor, recorded as facts. 'cases': data sets of metadat;",
                  "'hard_cases': data sets on which metafor is known to be wrong or",
                  "imprecise; the truth is in exact_univariate.json.")),
    versions,
    list(
      control = list(tol = 1e-14, stepadj = 0.5, maxiter = 10000,
                     threshold = paste("1e-14; if Fisher scoring does not converge the next of",
                                       "1e-13 ... 1e-8 (field threshold_used)"),
                     tau2_max = "max(100, 1e5 * max(var(yi), mean(vi))) for PM and confint"),
      confint_control = list(tol = 1e-14, maxiter = 10000),
      i2 = "tau2-based (metafor's default definition), percent; in 'equal' it is Q-based",
      loglik_reml = "with the +1/2 log|X'X| term (metafor's default, REMLf=TRUE)",
      pi = paste("z: test='z'; t(k-1): test='t'; t(k-2): test='t' and pi.type='riley'; all",
                 "with the Wald SE. pi_hksj: test='knha', t(k-1)"),
      subgroups = paste("separate tau2 per level, Wald SE; q, df, p_value from",
                        "rma(mean, sei=se, method='FE')"),
      missing_rows = "rows with missing yi or vi were dropped (rows_dropped)")),
  cases = main_cases,
  hard_cases = hard_cases), "metafor_univariate.json")

# --------------------------------------------------------------- effect sizes

rows <- list()
record <- function(id, measure, inputs, ...) {
  heard <<- character()
  opt <- list(...)
  r <- listen(do.call(escalc, c(list(measure = measure), inputs, opt)))
  full <- if (measure %in% c("RR", "OR", "RD")) {
    o <- list(add = 0.5, to = "only0", drop00 = FALSE)
    o[names(opt)] <- opt
    o
  } else if (measure == "SMD") list(vtype = "LS", correct = TRUE) else list(vtype = "LS")
  rows[[length(rows) + 1L]] <<- list(
    id = id, measure = measure, inputs = inputs, options = full,
    yi = if (is.null(r)) NA else num(r$yi), vi = if (is.null(r)) NA else num(r$vi),
    messages = arr(heard))
}

means <- list(
  ordinary_1 = c(10.2, 2.1, 30, 8.9, 2.4, 28), ordinary_2 = c(55, 47, 155, 75, 64, 156),
  ordinary_3 = c(-1.5, 0.8, 12, -1.1, 0.9, 15), ordinary_4 = c(100, 15, 250, 97.5, 14.2, 240),
  no_difference = c(5, 1, 20, 5, 1.5, 20), unequal_n = c(3.2, 1.1, 200, 2.9, 1.3, 9),
  unequal_sd = c(12, 0.5, 40, 10, 6, 40), large_effect = c(20, 2, 25, 8, 3, 25),
  small_scale = c(0.0021, 0.0004, 60, 0.0019, 0.0005, 58),
  n_2_2 = c(4.1, 1.2, 2, 3.3, 0.9, 2), n_3_2 = c(4.1, 1.2, 3, 3.3, 0.9, 2),
  n_3_3 = c(-0.4, 1.2, 3, 0.6, 0.9, 3), n_4_5 = c(7, 2.5, 4, 6.2, 1.9, 5),
  n_5_5 = c(7, 2.5, 5, 9.2, 1.9, 5), n_2_5 = c(0.3, 0.1, 2, 0.2, 0.15, 5),
  n_1000 = c(1.02, 0.31, 1000, 1, 0.29, 1200),
  n_20_million = c(1.02, 0.31, 1e7, 1, 0.29, 1e7))
for (nm in names(means)) {
  v <- means[[nm]]
  inp <- list(m1i = v[1], sd1i = v[2], n1i = v[3], m2i = v[4], sd2i = v[5], n2i = v[6])
  record(paste0("smd_", nm), "SMD", inp)
  record(paste0("md_", nm), "MD", inp)
}

tables <- list(
  ordinary_1 = c(4, 119, 11, 128), ordinary_2 = c(62, 13536, 248, 12619),
  ordinary_3 = c(30, 20, 12, 38), ordinary_4 = c(505, 87886, 499, 87892),
  equal_risk = c(10, 40, 20, 80), rare = c(1, 99999, 3, 99998),
  tiny_n = c(1, 1, 1, 2), tiny_n_zero = c(0, 2, 1, 1), tiny_n5 = c(3, 2, 1, 4),
  zero_a = c(0, 25, 4, 22), zero_c = c(5, 20, 0, 27), zero_b = c(15, 0, 10, 6),
  zero_d = c(11, 4, 12, 0), zero_a_d = c(0, 9, 8, 0), zero_b_c = c(9, 0, 0, 8))
for (nm in names(tables)) {
  v <- tables[[nm]]
  inp <- list(ai = v[1], bi = v[2], ci = v[3], di = v[4])
  for (m in c("RR", "OR", "RD")) record(paste0(tolower(m), "_", nm), m, inp)
}
both <- list(no_events = c(0, 20, 0, 25), all_events = c(20, 0, 25, 0))
for (nm in names(both)) for (d in c(FALSE, TRUE)) for (m in c("RR", "OR", "RD")) {
  v <- both[[nm]]
  record(paste0(tolower(m), "_", nm, if (d) "_dropped" else "_kept"), m,
         list(ai = v[1], bi = v[2], ci = v[3], di = v[4]), drop00 = d)
}
for (m in c("RR", "OR", "RD"))
  record(paste0(tolower(m), "_zero_a_no_correction"), m,
         list(ai = 0, bi = 25, ci = 4, di = 22), add = 0, to = "none")

write_json(list(
  meta = c(list(generator = "generate_univariate.R",
                about = paste("Answers of metafor's escalc(), one row at a time. SMD: exact",
                              "small-sample factor J, vtype 'LS'. yi, vi are null where escalc",
                              "gives NA."),
                n_rows = length(rows)), versions),
  rows = rows), "effect_sizes.json")
message(length(main_cases), " cases, ", length(hard_cases), " hard cases, ",
        length(rows), " effect sizes")
