# Cluster-robust covariances, their tests and the moment estimators of robumeta, for tests/stats/test_robust*.py and
# test_rve.py. Weights of fits with dependent effects are written as they are, so that no variance component has to be
# estimated again to compare. Run: Rscript generate_robust.R
suppressMessages({library(metafor); library(clubSandwich); library(robumeta); library(jsonlite)})
options(digits = 17)

types <- c("CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3")
plain <- function(x) as.numeric(x)
tight <- list(threshold = 1e-14, tol = 1e-14, stepadj = .5, maxiter = 10000)

# everything clubSandwich says of one fit; constraints: sets of coefficients tested together
robust_facts <- function(fit, cluster, sets) {
  lapply(setNames(types, types), function(type) {
    V <- tryCatch(vcovCR(fit, cluster = cluster, type = type), error = function(e) NULL)
    if (is.null(V)) return(list(failed = TRUE)) # CR3 of a cluster that alone decides a coefficient
    ct <- coef_test(fit, vcov = V, test = c("Satterthwaite", "naive-t", "z"))
    joint <- lapply(sets, function(set) {
      w <- Wald_test(fit, constraints = constrain_zero(set), vcov = V, test = c("HTZ", "Naive-F", "chi-sq"))
      list(set = as.list(set - 1L), test = w$test, Fstat = w$Fstat, df_num = w$df_num, df_denom = w$df_denom, p_val = w$p_val)
    })
    list(vcov = plain(as.matrix(V)), se = ct$SE, df = ct$df_Satt, p_satt = ct$p_Satt, p_naive = ct$p_t, p_z = ct$p_z,
         joint = joint)
  })
}

record <- function(name, fit, cluster, y, X, W, Phi, sets) {
  list(name = name, y = plain(y), X = plain(t(X)), p = ncol(X), cluster = as.integer(factor(cluster)), W = W, Phi = Phi,
       beta = plain(coef(fit)), facts = robust_facts(fit, cluster, sets))
}

# blocks of a block-diagonal matrix over clusters, as rows, columns and values that are not zero
sparse <- function(M) { k <- which(M != 0, arr.ind = TRUE); list(i = k[, 1] - 1L, j = k[, 2] - 1L, x = M[k]) }

cases <- list()
d <- corrdat
f <- rma(effectsize, var, data = d, method = "DL")
cases[[1]] <- record("rma.uni intercept", f, d$studyid, f$yi, f$X, list(diag = 1 / (f$vi + f$tau2)), NULL, list())
f <- rma(effectsize, var, mods = ~ followup + males + binge, data = d, method = "REML", control = tight)
cases[[2]] <- record("rma.uni moderators", f, d$studyid, f$yi, f$X, list(diag = 1 / (f$vi + f$tau2)), NULL,
                     list(2:4, 3:4, 2))
w <- 1 / (d$var + .1) * (1 + d$college)
f <- rma(effectsize, var, mods = ~ followup + males, data = d, method = "DL", weights = w)
cases[[3]] <- record("rma.uni user weights", f, d$studyid, f$yi, f$X, list(diag = plain(w)), list(diag = f$vi + f$tau2),
                     list(2:3))
d <- metadat::dat.konstantopoulos2011
f <- rma.mv(yi, vi, mods = ~ I(year - 1976), random = ~ 1 | district/school, data = d)
cases[[4]] <- record("rma.mv three levels", f, d$district, f$yi, f$X, list(sparse = sparse(solve(f$M))), NULL, list(1:2))
d <- metadat::dat.berkey1998
V <- bldiag(lapply(split(d[, c("v1i", "v2i")], d$trial), as.matrix))
f <- rma.mv(yi, V, mods = ~ outcome - 1, random = ~ outcome | trial, struct = "UN", data = d)
cases[[5]] <- record("rma.mv multivariate", f, d$trial, f$yi, f$X, list(sparse = sparse(solve(f$M))), NULL, list(1:2))
d <- metadat::dat.assink2016
f <- rma.mv(yi, vi, mods = ~ year + pubstatus, random = ~ 1 | study/esid, data = d)
cases[[6]] <- record("rma.mv two moderators", f, d$study, f$yi, f$X, list(sparse = sparse(solve(f$M))), NULL, list(2:3))
f <- rma(yi, vi, data = d, method = "FE", subset = study <= 2)
cases[[7]] <- record("two clusters", f, d$study[d$study <= 2], f$yi, f$X, list(diag = 1 / f$vi), NULL, list())
d <- hierdat
d$alone <- as.numeric(d$studyid == d$studyid[5])
f <- rma(effectsize, var, mods = ~ followup + alone, data = d, method = "FE")
cases[[8]] <- record("level seen in one cluster", f, d$studyid, f$yi, f$X, list(diag = 1 / f$vi), NULL, list())
d <- corrdat
f <- rma(effectsize, var, mods = ~ followup + binge, data = d, method = "DL")
cases[[9]] <- record("singletons", f, seq_len(nrow(d)), f$yi, f$X, list(diag = 1 / (f$vi + f$tau2)), NULL, list(2:3))
d <- metadat::dat.assink2016
f <- rma.mv(yi, vi, mods = ~ year + deltype, random = ~ 1 | study/esid, data = d)
cases[[10]] <- record("factor level in one study", f, d$study, f$yi, f$X, list(sparse = sparse(solve(f$M))), NULL, list())

# ---------------------------------------------------------------- robumeta

data(oswald2013, package = "robumeta")
data(dropoutPrevention, package = "clubSandwich")
oswald2013$yi <- atanh(oswald2013$R)
oswald2013$vi <- 1 / (oswald2013$N - 3)
oswald2013$studyid <- as.integer(factor(oswald2013$Study))
oswald2013$stereotype <- as.numeric(oswald2013$IAT.Focus == "Stereotype")
dropoutPrevention$studyid <- as.integer(dropoutPrevention$studyID)
sets <- list(
  corrdat = list(d = corrdat, y = "effectsize", v = "var", X = c("followup", "males", "binge")),
  hierdat = list(d = hierdat, y = "effectsize", v = "var", X = c("binge", "followup")),
  oswald2013 = list(d = oswald2013, y = "yi", v = "vi", X = "stereotype"),
  dropoutPrevention = list(d = dropoutPrevention, y = "LOR1", v = "varLOR", X = c("duration", "attrition", "male_pct")))

fitted_rve <- function(formula, d, model, rho, small) {
  # these names are looked for in the global environment
  m <- switch(model,
    CORR = robu(formula, data = d, studynum = studyid, var.eff.size = vv, modelweights = "CORR", rho = rho, small = small),
    HIER = robu(formula, data = d, studynum = studyid, var.eff.size = vv, modelweights = "HIER", small = small),
    USER = robu(formula, data = d, studynum = studyid, var.eff.size = vv, userweights = uw, small = small))
  list(model = model, rho = rho, small = small, b = plain(m$b.r), se = plain(m$reg_table$SE), df = plain(m$reg_table$dfs),
       t = plain(m$reg_table$t), p = plain(m$reg_table$prob), lower = plain(m$reg_table$CI.L),
       upper = plain(m$reg_table$CI.U), tau2 = plain(m$mod_info$tau.sq), omega2 = plain(m$mod_info$omega.sq),
       i2 = plain(m$mod_info$I.2))
}

rve <- list()
for (s in names(sets)) {
  S <- sets[[s]]
  d <- S$d
  d$vv <- d[[S$v]]
  d$uw <- 1 / (d$vv + .1)
  fits <- list()
  for (design in c("intercept", "moderators")) {
    formula <- as.formula(paste(S$y, "~", if (design == "intercept") "1" else paste(S$X, collapse = "+")))
    for (small in c(TRUE, FALSE)) {
      for (rho in c(0, .2, .5, .8, 1)) fits <- c(fits, list(c(design = design, fitted_rve(formula, d, "CORR", rho, small))))
      for (model in c("HIER", "USER")) fits <- c(fits, list(c(design = design, fitted_rve(formula, d, model, 0, small))))
    }
  }
  rve[[s]] <- list(study = d$studyid, y = d[[S$y]], v = d$vv, X = lapply(S$X, function(x) d[[x]]), fits = fits)
}

versions <- lapply(list(metafor = "metafor", clubSandwich = "clubSandwich", robumeta = "robumeta"),
                   function(x) as.character(packageVersion(x)))
write_json(list(versions = versions, cases = cases, rve = rve), "robust.json", digits = NA, auto_unbox = TRUE, null = "null")
