# Pinned reference results of metafor for subgroups: with one tau2 for all, and with a tau2 of their own.
#
#   Rscript generate_subgroups.R     # from any folder
#
# writes subgroups.json next to itself. Common: rma(mods = ~ group - 1), the test that all means are equal, every pair
# by anova(X = ), adjusted by p.adjust. Separate: rma within each group, then the QE of the means in an equal-effects
# model, and every pair by its normal test.

options(warn = 2)
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
  library(jsonlite)
})

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
CONTROL <- list(threshold = 1e-13, tol = 1e-14, stepadj = 0.5, maxiter = 10000)
ADJUST <- c(none = "none", bonferroni = "bonferroni", holm = "holm", hochberg = "hochberg", fdr_bh = "BH", fdr_by = "BY")

adjusted <- function(p) lapply(ADJUST, function(method) I(p.adjust(p, method)))
pairs <- function(g) combn(g, 2)

common <- function(frame, method, test) {
  control <- if (method == "REML") CONTROL else list()
  res <- rma(yi, vi, mods = ~ group - 1, data = frame, method = method, test = test, control = control)
  g <- nlevels(frame$group)
  L <- t(apply(pairs(g), 2, function(ij) replace(replace(numeric(g), ij[1], -1), ij[2], 1)))
  each <- anova(res, X = L)
  all <- anova(res, X = L[seq_len(g - 1), , drop = FALSE])
  list(tau2 = res$tau2, mean = I(as.numeric(res$beta)), se = I(res$se), low = I(res$ci.lb), high = I(res$ci.ub),
       statistic = all$QM, p_value = all$QMp, difference = I(as.numeric(each$Xb)), pair_se = I(as.numeric(each$se)),
       pair_p = adjusted(as.numeric(each$pval)))
}
separate <- function(frame, method) {
  control <- if (method == "REML") CONTROL else list()
  fits <- lapply(levels(frame$group), function(level) {
    rma(yi, vi, data = frame[frame$group == level, ], method = method, control = control)
  })
  mean <- sapply(fits, function(fit) as.numeric(fit$beta))
  se <- sapply(fits, function(fit) fit$se)
  between <- rma(mean, sei = se, method = "EE")
  ij <- pairs(length(fits))
  difference <- mean[ij[2, ]] - mean[ij[1, ]]
  pair_se <- sqrt(se[ij[2, ]]^2 + se[ij[1, ]]^2)
  list(tau2 = I(sapply(fits, function(fit) fit$tau2)), mean = I(mean), se = I(se), statistic = between$QE,
       p_value = between$QEp, difference = I(difference), pair_se = I(pair_se),
       pair_p = adjusted(2 * pnorm(-abs(difference / pair_se))))
}
one_case <- function(frame, group) {
  frame <- data.frame(yi = as.numeric(frame$yi), vi = as.numeric(frame$vi), group = factor(group))
  frame <- frame[complete.cases(frame), ]
  list(yi = frame$yi, vi = frame$vi, group = as.character(frame$group),
       common = list(REML = list(z = common(frame, "REML", "z"), knha = common(frame, "REML", "knha")),
                     DL = list(z = common(frame, "DL", "z"), knha = common(frame, "DL", "knha"))),
       separate = list(REML = separate(frame, "REML"), DL = separate(frame, "DL")))
}

bcg <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
bangert <- dat.bangertdrowns2004
mcdaniel <- escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994)
cases <- list("bcg allocation" = one_case(bcg, bcg$alloc), "bangertdrowns grade" = one_case(bangert, bangert$grade),
              "mcdaniel type" = one_case(mcdaniel, mcdaniel$type))
meta <- list(generator = "generate_subgroups.R", r_version = R.version.string,
             metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat")))
writeLines(toJSON(list(meta = meta, cases = cases), digits = NA, auto_unbox = TRUE, pretty = TRUE),
           file.path(here, "subgroups.json"), useBytes = TRUE)
