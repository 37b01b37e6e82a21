# Pinned reference results of metafor for meta-regressions by formula.
#
#   Rscript generate_regression.R     # from any folder
#
# writes regression.json next to itself: for each case the effects, the columns,
# the formula as metaback writes it, and the results of rma() under three tests,
# with vif(), predict() and confint(); exact permutation tests of small sets. No
# date or random number goes into the file, so a second run with the same
# versions gives the same bytes.

options(warn = 2)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()

quoted <- function(x) paste0("\"", gsub("\"", "\\\\\"", gsub("\\\\", "\\\\\\\\", x)), "\"")
number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
one <- function(x) if (is.null(x) || length(x) == 0) "null" else number(as.numeric(x))
numbers <- function(x) paste0("[", paste(number(as.numeric(x)), collapse = ", "), "]")
texts <- function(x) paste0("[", paste(quoted(as.character(x)), collapse = ", "), "]")
column <- function(x) if (is.numeric(x)) numbers(x) else texts(x)
object <- function(fields, indent) {
  pad <- strrep(" ", indent + 1)
  inner <- paste0(pad, "\"", names(fields), "\": ", unlist(fields), collapse = ",\n")
  paste0("{\n", inner, "\n", strrep(" ", indent), "}")
}
METHODS <- c("DL", "PM", "REML", "ML", "EB", "SJ", "HS")
SCORING <- c("REML", "ML", "EB")
tight <- function(yi, vi, method, threshold = 1e-14) {
  control <- list(tol = 1e-14, threshold = threshold, maxiter = 10000)
  if (method %in% SCORING) control$stepadj <- 0.5
  if (method == "PM") control$tau2.max <- max(100, 1e5 * max(var(yi), mean(vi)))
  control
}
# the first stopping rule at which Fisher scoring ends by itself
settled <- function(frame, mods, method) {
  for (threshold in 10^-(14:10)) {
    control <- tight(frame$yi, frame$vi, method, threshold)
    res <- try(rma(yi, vi, mods = mods, data = frame, method = method, control = control), silent = TRUE)
    if (!inherits(res, "try-error")) return(control)
  }
  stop("no stopping rule works")
}
leveled <- function(x) if (is.numeric(x)) x else factor(x, levels = sort(unique(as.character(x)), method = "radix"))

one_test <- function(frame, mods, method, test) {
  res <- rma(yi, vi, mods = mods, data = frame, method = method, test = test, control = settled(frame, mods, method))
  pred <- predict(res)
  object(list(se = numbers(res$se), p_value = numbers(res$pval), ci_low = numbers(res$ci.lb),
              ci_high = numbers(res$ci.ub), qm = one(res$QM), qm_p = one(res$QMp),
              df = one(if (test == "z") Inf else res$ddf[1]),
              fitted = numbers(pred$pred), fitted_low = numbers(pred$ci.lb), fitted_high = numbers(pred$ci.ub),
              new_low = numbers(pred$pi.lb), new_high = numbers(pred$pi.ub)), 4)
}
one_method <- function(frame, mods, method) {
  res <- rma(yi, vi, mods = mods, data = frame, method = method, control = settled(frame, mods, method))
  ci <- confint(res, control = list(tol = 1e-14, maxiter = 10000, tau2.max = max(100, 1e4 * res$tau2)))$random[1, 2:3]
  assign <- attr(model.matrix(mods, frame), "assign")
  groups <- lapply(setdiff(unique(assign), 0), function(g) which(assign == g))
  inflation <- if (res$int.incl && length(groups) > 1) numbers(vif(res, btt = groups)$vifs) else "[]"
  object(list(tau2 = one(res$tau2), tau2_low = one(ci[1]), tau2_high = one(ci[2]), beta = numbers(res$beta),
              q = one(res$QE), q_p = one(res$QEp), i2 = one(res$I2), h2 = one(res$H2), r2 = one(res$R2),
              vif = inflation,
              z = one_test(frame, mods, method, "z"), t = one_test(frame, mods, method, "t"),
              knha = one_test(frame, mods, method, "knha")), 3)
}
one_case <- function(frame, formula, mods, measure = "GEN", methods = METHODS) {
  keep <- all.vars(mods)
  frame <- as.data.frame(lapply(frame[c("yi", "vi", keep)], function(x) if (is.factor(x)) as.character(x) else c(x)))
  frame <- frame[complete.cases(frame), ]
  frame[keep] <- lapply(frame[keep], leveled)
  fits <- sapply(methods, function(m) one_method(frame, mods, m), simplify = FALSE)
  columns <- sapply(keep, function(name) column(frame[[name]]), simplify = FALSE)
  object(list(formula = quoted(formula), measure = quoted(measure), yi = numbers(frame$yi), vi = numbers(frame$vi),
              columns = object(columns, 2), fits = object(fits, 2)), 1)
}
one_permutation <- function(frame, formula, mods, method, test) {
  res <- rma(yi, vi, mods = mods, data = frame, method = method, test = test, control = tight(frame$yi, frame$vi, method))
  out <- permutest(res, exact = TRUE, progbar = FALSE)
  keep <- all.vars(mods)
  object(list(formula = quoted(formula), method = quoted(method), test = quoted(test), yi = numbers(frame$yi),
              vi = numbers(frame$vi), columns = object(sapply(keep, function(n) column(frame[[n]]), simplify = FALSE), 2),
              p_value = numbers(out$pval), qm_p = one(out$QMp)), 1)
}

bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
mcdaniel <- escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994)
molloy <- escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014)
curtis <- escalc("ROM", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.curtis1998)
baskerville <- transform(dat.baskerville2012, yi = smd, vi = se^2)
debruin <- escalc("PLO", xi = xi, ni = ni, data = dat.debruin2009)
landenberger <- escalc("OR", ai = n.cbt.rec, bi = n.cbt.non, ci = n.ctrl.rec, di = n.ctrl.non,
                       data = dat.landenberger2005)
viechtbauer <- escalc("OR", ai = xTi, n1i = nTi, ci = xCi, n2i = nCi, data = dat.viechtbauer2021)
bonett <- escalc("ABT", ai = ai, mi = mi, ni = ni, data = dat.bonett2010)
crede <- escalc("ZCOR", ri = ri, ni = ni, data = dat.crede2010)
vanhowe <- escalc("OR", ai = non.pos, bi = non.neg, ci = cir.pos, di = cir.neg, data = dat.vanhowe1999)
damico <- escalc("OR", ai = xt, n1i = nt, ci = xc, n2i = nc, data = dat.damico2009)
bornmann <- escalc("OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal, data = dat.bornmann2007)

cases <- list(
  "bcg latitude" = one_case(bcg, "~ ablat", ~ ablat, "RR"),
  "bcg latitude and year" = one_case(bcg, "~ ablat + year", ~ ablat + year, "RR"),
  "bcg allocation" = one_case(bcg, "~ alloc", ~ alloc, "RR"),
  "bcg without intercept" = one_case(bcg, "~ alloc - 1", ~ alloc - 1, "RR"),
  "bcg interaction" = one_case(bcg, "~ ablat * alloc", ~ ablat * alloc, "RR"),
  "bcg polynomial" = one_case(bcg, "~ ablat + I(ablat^2)", ~ ablat + I(ablat^2), "RR"),
  "raudenbush weeks" = one_case(dat.raudenbush1985, "~ weeks", ~ weeks),
  "raudenbush factors" = one_case(dat.raudenbush1985, "~ weeks * setting + tester", ~ weeks * setting + tester),
  "bangertdrowns four" = one_case(dat.bangertdrowns2004, "~ length + wic + feedback + info",
                                  ~ length + wic + feedback + info),
  "bangertdrowns grade" = one_case(transform(dat.bangertdrowns2004, grade = paste0("g", grade)),
                                   "~ C(grade) + length", ~ grade + length),
  "mcdaniel type and structure" = one_case(mcdaniel, "~ type + struct", ~ type + struct, "ZCOR"),
  "molloy age and design" = one_case(molloy, "~ meanage + design + controls", ~ meanage + design + controls, "ZCOR"),
  "curtis method" = one_case(curtis, "~ method + time", ~ method + time, "ROM"),
  "konstantopoulos year" = one_case(dat.konstantopoulos2011, "~ year", ~ year),
  # raw year and year^2 in one model do not converge in metafor 3.8-1; the same model in centred years does
  "konstantopoulos raw years" = one_case(dat.konstantopoulos2011, "~ year + I(year^2)",
                                         ~ I(year - 1990) + I((year - 1990)^2)),
  "hackshaw design and year" = one_case(dat.hackshaw1998, "~ design + year", ~ design + year, "OR"),
  "baskerville trial" = one_case(baskerville, "~ design + score + fumonths", ~ design + score + fumonths),
  "debruin scq" = one_case(debruin, "~ scq + patients", ~ scq + patients, "PLO"),
  "landenberger programme" = one_case(landenberger, "~ design + group + hrs_week", ~ design + group + hrs_week, "OR"),
  "viechtbauer dose" = one_case(viechtbauer, "~ dose + I(dose^2)", ~ dose + I(dose^2), "OR"),
  "bonett caregivers" = one_case(bonett, "~ caregivers", ~ caregivers, "ABT"),
  "crede class" = one_case(crede, "~ criterion * source + year", ~ criterion * source + year, "ZCOR"),
  "vanhowe category" = one_case(vanhowe, "~ category - 1", ~ category - 1, "OR"),
  "damico concealment" = one_case(damico, "~ conceal + blind + year", ~ conceal + blind + year, "OR"),
  "bornmann year" = one_case(bornmann, "~ year + type", ~ year + type, "OR"))

six <- bcg[c(1, 3, 5, 7, 8, 10), ]
permutations <- list(
  "six trials, latitude" = one_permutation(six, "~ ablat", ~ ablat, "DL", "z"),
  "six trials, latitude, knha" = one_permutation(six, "~ ablat", ~ ablat, "REML", "knha"),
  "six trials, two moderators" = one_permutation(six, "~ ablat + year", ~ ablat + year, "DL", "z"),
  "seven trials, allocation" = one_permutation(bcg[c(1, 2, 3, 4, 7, 8, 10), ], "~ alloc", ~ alloc, "DL", "knha"))

meta <- object(list(generator = quoted("generate_regression.R"), r_version = quoted(R.version.string),
                    metafor = quoted(as.character(packageVersion("metafor"))),
                    metadat = quoted(as.character(packageVersion("metadat")))), 1)
out <- file(file.path(here, "regression.json"), "wb")
writeLines(object(list(meta = meta, cases = object(cases, 1), permutations = object(permutations, 1)), 0), out,
           useBytes = TRUE)
close(out)
