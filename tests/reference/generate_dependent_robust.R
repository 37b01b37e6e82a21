# Pinned answers of clubSandwich, robumeta and metafor for robust variances, working models and sampling covariances.
#
#   Rscript generate_dependent_robust.R      # from any folder, after generate_dependent.R
#
# writes clubsandwich.json, robumeta.json and covariances.json into dependent/. Variance components of rma.mv are held at
# the values of dependent/fits.json, so that no optimiser stands between two answers. Only calls public functions.

options(warn = 1, stringsAsFactors = FALSE, digits = 15)
argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
source(file.path(here, "dependent_data.R"))
folder <- file.path(here, "dependent")
fits <- fromJSON(file.path(folder, "fits.json"), simplifyVector = TRUE, simplifyDataFrame = FALSE, simplifyMatrix = FALSE)$models
`%or%` <- function(a, b) if (is.null(a)) b else a

quiet <- function(expr) {
  said <- NULL
  value <- withCallingHandlers(tryCatch(expr, error = function(e) structure(conditionMessage(e), class = "refusal")),
    warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(w) invokeRestart("muffleMessage"))
  list(value = value, said = unique(said), failed = inherits(value, "refusal"))
}

# ---- clubSandwich

TYPES <- c("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
WALDS <- c("chi-sq", "Naive-F", "Naive-Fp", "HTA", "HTB", "HTZ", "EDF", "EDT")
sandwich <- function(fit, cluster, joint) {
  out <- list()
  for (type in TYPES) {
    v <- quiet(vcovCR(fit, cluster = cluster, type = type))
    if (v$failed) { out[[type]] <- list(error = unclass(v$value)); next }
    entry <- list(vcov = rows_of(unname(as.matrix(v$value))))
    if (length(v$said)) entry$said <- I(v$said)
    for (test in c("Satterthwaite", "naive-t", "z")) {
      got <- quiet(as.data.frame(coef_test(fit, vcov = v$value, test = test)))
      if (got$failed) { entry[[test]] <- list(error = unclass(got$value)); next }
      r <- got$value
      df <- intersect(c("df_Satt", "df_t", "df"), names(r))
      p <- grep("^p_", names(r), value = TRUE)
      entry[[test]] <- c(if (test == "Satterthwaite") list(se = num(r$SE), t = num(r$tstat)), list(df = if (length(df)) num(r[[df[1]]]) else NULL, p = num(r[[p[1]]])))
    }
    ci <- quiet(as.data.frame(conf_int(fit, vcov = v$value, level = 0.95)))
    if (!ci$failed) entry$ci <- list(low = num(ci$value$CI_L), high = num(ci$value$CI_U))
    if (length(joint)) for (test in WALDS) {
      w <- quiet(as.data.frame(Wald_test(fit, constraints = constrain_zero(joint), vcov = v$value, test = test)))
      entry$wald[[test]] <- if (w$failed) list(error = unclass(w$value)) else
        list(F = w$value$Fstat, delta = if (is.null(w$value$delta)) NULL else w$value$delta, df_num = w$value$df_num, df_denom = w$value$df_denom, p = w$value$p_val)
    }
    out[[type]] <- entry
  }
  out
}
cases <- list()
add <- function(name, fit, cluster, about) {
  if (inherits(fit, "refusal")) { cases[[name]] <<- c(about, list(error = unclass(fit))); return(invisible()) }
  names_of <- rownames(fit$beta)
  joint <- setdiff(seq_along(names_of), which(names_of == "intrcpt"))
  if (length(joint) == 1 && length(names_of) == 1) joint <- integer(0)
  own <- quiet(robust(fit, cluster = cluster))
  cases[[name]] <<- c(about, list(coefficients = I(names_of), beta = num(fit$beta), model_se = num(fit$se), joint = I(joint - 1L),
    cluster = I(as.character(cluster)), types = sandwich(fit, cluster, joint),
    metafor_robust = if (own$failed) list(error = unclass(own$value)) else
      list(se = num(own$value$se), df = num(own$value$ddf), p = num(own$value$pval), ci_low = num(own$value$ci.lb), ci_high = num(own$value$ci.ub), QM = own$value$QM[1], QM_df = num(own$value$QMdf), QM_p = own$value$QMp[1])))
  message(name)
}
held_mv <- function(key, method = "REML", keep = NULL, ...) {
  model <- fits[[key]]
  set <- sets[[model$set]]
  frame <- set$frame
  V <- if (is.null(set$V)) frame$vi else set$V
  values <- model$fits[[method]]
  args <- list(quote(rma.mv), quote(yi), quote(V), mods = as.formula(model$mods), data = quote(frame), method = method,
               random = lapply(unlist(model$random), as.formula), ...)
  if (!is.null(model$struct)) args$struct <- unlist(model$struct)
  for (n in c("sigma2", "tau2", "rho", "gamma2", "phi")) if (!is.null(values[[n]])) args[[n]] <- as.numeric(unlist(values[[n]]))
  quiet(eval(as.call(args)))$value
}
mv <- function(key, cluster, label = "", method = "REML", ...) {
  set <- sets[[fits[[key]]$set]]
  add(paste0(key, label, if (method == "ML") " ML" else ""), held_mv(key, method, ...), set$frame[[cluster]],
      list(kind = "rma.mv", model = key, method = method, set = fits[[key]]$set, cluster_by = cluster))
}
tight <- list(tol = 1e-14, threshold = 1e-12, stepadj = 0.5, maxiter = 10000)
uni <- function(name, set, mods, cluster, method = "REML", rows = NULL, weights = NULL, more = list()) {
  frame <- sets[[set]]$frame
  rows <- if (is.null(rows)) seq_len(nrow(frame)) else rows
  frame <- frame[rows, , drop = FALSE]
  w <- if (is.null(weights)) NULL else weights[rows]
  control <- if (method %in% c("REML", "ML")) tight else list()
  args <- list(quote(rma), quote(yi), quote(vi), mods = as.formula(mods), data = quote(frame), method = method, control = control)
  if (!is.null(w)) args$weights <- quote(w)
  fit <- quiet(eval(as.call(args)))$value
  about <- list(kind = "rma.uni", set = set, mods = mods, method = method, cluster_by = cluster, rows = I(as.integer(rows) - 1L),
                weights = if (is.null(w)) NULL else num(w), tau2 = if (inherits(fit, "refusal")) NULL else fit$tau2)
  if (!inherits(fit, "refusal") && ncol(fit$X) > 1) about$X <- rows_of(unname(fit$X))
  add(name, fit, frame[[cluster]], about)
}
uni("uni konstantopoulos2011", "konstantopoulos2011", "~ 1", "district")
uni("uni konstantopoulos2011 year", "konstantopoulos2011", "~ year_c", "district")
uni("uni konstantopoulos2011 DL", "konstantopoulos2011", "~ year_c", "district", "DL")
uni("uni konstantopoulos2011 equal effects", "konstantopoulos2011", "~ year_c", "district", "EE")
uni("uni konstantopoulos2011 singletons", "konstantopoulos2011", "~ year_c", "study")
uni("uni konstantopoulos2011 two clusters", "konstantopoulos2011", "~ 1", "district", rows = which(sets$konstantopoulos2011$frame$district %in% c(11, 12)))
uni("uni konstantopoulos2011 two clusters and slope", "konstantopoulos2011", "~ year_c", "district", rows = which(sets$konstantopoulos2011$frame$district %in% c(11, 12)))
uni("uni konstantopoulos2011 one cluster", "konstantopoulos2011", "~ 1", "district", rows = which(sets$konstantopoulos2011$frame$district == 11))
uni("uni konstantopoulos2011 weights", "konstantopoulos2011", "~ year_c", "district", weights = 1 + (seq_len(56) %% 7))
uni("uni assink2016 deltype", "assink2016", "~ deltype", "study")
uni("uni assink2016 several", "assink2016", "~ pubstatus + year_c + deltype", "study")
uni("uni bornmann2007 country", "bornmann2007", "~ country", "study")
uni("uni crede2010 criterion", "crede2010", "~ criterion", "studyid")
uni("uni hierdat", "hierdat", "~ binge + followup + sreport + age", "studyid")
uni("uni corrdat", "corrdat", "~ males + college + binge", "studyid")
# a level of the moderator seen in one study, and one in a single row
d <- sets$assink2016$frame
d$lone <- ifelse(d$study == 3, "b_one_study", ifelse(d$id == 60, "c_one_row", "a_rest"))
sets$assink2016_lone <- list(frame = d, source = "assink2016 with `lone`: b_one_study for study 3, c_one_row for id 60, else a_rest")
uni("uni assink2016 lone level", "assink2016_lone", "~ lone", "study")
mv("konstantopoulos2011 | three levels", "district")
mv("konstantopoulos2011 | three levels", "district", method = "ML")
mv("konstantopoulos2011 | year", "district")
mv("konstantopoulos2011 | CS", "district")
mv("konstantopoulos2011 | crossed", "district")
mv("berkey1998 | UN", "trial")
mv("berkey1998 | UN year", "trial")
mv("assink2016 | three levels", "study")
mv("assink2016 | deltype", "study")
mv("assink2016_V | CHE", "study")
mv("assink2016_V | CHE deltype", "study")
mv("bornmann2007 | type and year", "study")
mv("bornmann2007 | country", "study")
mv("crede2010 | criterion", "studyid")
mv("ishak2007 | AR", "study")
mv("ishak2007 | UN", "study")
mv("fine1993 | HAR", "study")
mv("kalaian1996 | UN hours", "study")
mv("knapp2017_difficulty | difficulty", "study")
mv("hierdat | moderators", "studyid")
mv("corrdat | CHE moderators", "studyid")
mv("corrdat | SCE", "studyid")
mv("SATcoaching | UN hours", "study")
mv("SATcoaching | CS", "study")
mv("tannersmith2016 | moderators", "studyid")
mv("mccurdy2020 | five terms", "article")
mv("dropoutPrevention | four levels", "studyID")
mv("obrien2003 | GEN", "study")
mv("oswald2013_ex1 | three levels", "study")
# user weights: a diagonal matrix
frame <- sets$konstantopoulos2011$frame
w <- 1 + (seq_len(56) %% 7)
s2 <- as.numeric(unlist(fits[["konstantopoulos2011 | year"]]$fits$REML$sigma2))
got <- quiet(rma.mv(yi, vi, W = w, mods = ~ year_c, random = ~ 1 | district/school, data = frame, sigma2 = s2))$value
add("konstantopoulos2011 | year weights", got, frame$district,
    list(kind = "rma.mv", model = "konstantopoulos2011 | year", method = "REML", set = "konstantopoulos2011", cluster_by = "district", weights = num(w)))
write_json(list(meta = versions("generate_dependent_robust.R"), sets = list(assink2016_lone = set_out(sets$assink2016_lone)), cases = cases),
           file.path(folder, "clubsandwich.json"))

# ---- robumeta

robus <- list()
rve <- function(name, set, formula, cluster, modelweights, rho = 0.8, small = TRUE, user = NULL) {
  frame <- sets[[set]]$frame
  frame$cluster_ <- frame[[cluster]]
  args <- list(quote(robu), as.formula(paste("yi", formula)), data = quote(frame), studynum = quote(cluster_), var.eff.size = quote(vi),
               modelweights = modelweights, rho = rho, small = small)
  if (!is.null(user)) { frame$user_ <- user; args$userweights <- quote(user_) }
  got <- quiet(eval(as.call(args)))
  label <- paste0(name, " | ", if (is.null(user)) modelweights else "user", if (modelweights == "CORR") paste0(" ", rho) else "", if (small) "" else " large")
  about <- list(set = set, formula = formula, cluster_by = cluster, modelweights = if (is.null(user)) modelweights else "user", rho = rho, small = small,
                user_weights = if (is.null(user)) NULL else num(user))
  if (got$failed) { robus[[label]] <<- c(about, list(error = unclass(got$value))); return(invisible()) }
  r <- got$value
  t <- r$reg_table
  # robumeta sorts rows by study number (as a factor): the weights are given back in that order, with the effects beside them
  robus[[label]] <<- c(about, list(labels = I(as.character(t$labels)), b = num(t$b.r), se = num(t$SE), t = num(t$t), df = num(t$dfs), p = num(t$prob),
    ci_low = num(t$CI.L), ci_high = num(t$CI.U), tau2 = as.numeric(r$mod_info$tau.sq) %or0% NULL, omega2 = as.numeric(r$mod_info$omega.sq) %or0% NULL,
    I2 = as.numeric(r$mod_info$I.2) %or0% NULL, n_studies = r$N, n_effects = r$M,
    effects_in_order = num(r$data.full$effect.size), variances_in_order = num(r$data.full$var.eff.size), studies_in_order = I(as.character(r$data.full$study)), weights = num(r$data.full$r.weights)))
  if (length(got$said)) robus[[label]]$said <<- I(got$said)
}
`%or0%` <- function(a, b) if (length(a) == 0) b else a[1]
for (small in c(TRUE, FALSE)) {
  for (rho in c(0, 0.2, 0.5, 0.8, 1)) {
    rve("corrdat", "corrdat", "~ 1", "studyid", "CORR", rho, small)
    rve("corrdat moderators", "corrdat", "~ males + college + binge", "studyid", "CORR", rho, small)
    rve("assink2016", "assink2016", "~ year_c", "study", "CORR", rho, small)
    rve("SATcoaching", "SATcoaching", "~ hrs_c", "study", "CORR", rho, small)
    rve("tannersmith2016", "tannersmith2016", "~ aget1_c", "studyid", "CORR", rho, small)
  }
  rve("hierdat", "hierdat", "~ 1", "studyid", "HIER", small = small)
  rve("hierdat moderators", "hierdat", "~ binge + followup + sreport + age", "studyid", "HIER", small = small)
  rve("hierdat two", "hierdat", "~ binge + followup", "studyid", "HIER", small = small)
  rve("oswald2013_ex1", "oswald2013_ex1", "~ 1", "study", "HIER", small = small)
  rve("oswald2013_ex1", "oswald2013_ex1", "~ 1", "study", "CORR", 0.5, small)
  rve("konstantopoulos2011", "konstantopoulos2011", "~ year_c", "district", "HIER", small = small)
  rve("hedgesdat", "hedgesdat", "~ 1", "study", "CORR", 0.8, small)
  rve("hedgesdat", "hedgesdat", "~ 1", "study", "HIER", small = small)
  rve("crede2010", "crede2010", "~ criterion", "studyid", "CORR", 0.8, small)
  rve("crede2010", "crede2010", "~ criterion", "studyid", "HIER", small = small)
  rve("konstantopoulos2011 user", "konstantopoulos2011", "~ year_c", "district", "CORR", 0.8, small, user = 1 + (seq_len(56) %% 7))
  rve("singletons", "konstantopoulos2011", "~ year_c", "study", "CORR", 0.8, small)
}
for (n in names(robus)) if (is.null(robus[[n]]$error) && !robus[[n]]$rho %in% c(0.8)) robus[[n]][c("effects_in_order", "variances_in_order", "studies_in_order", "weights")] <- NULL
write_json(list(meta = versions("generate_dependent_robust.R"), cases = robus), file.path(folder, "robumeta.json"))
message(length(robus), " robumeta")

# ---- sampling covariances and aggregation

covs <- list()
cov <- function(name, about, V) {
  got <- quiet(V)
  covs[[name]] <<- if (got$failed) c(about, list(error = unclass(got$value))) else {
    V <- if (is.list(got$value)) as.matrix(bldiag(got$value)) else as.matrix(got$value)
    c(about, list(blocks = blocks_of(unname(V)), said = if (length(got$said)) I(got$said) else NULL))
  }
}
for (name in c("assink2016", "ishak2007", "SATcoaching", "kalaian1996")) {
  f <- sets[[name]]$frame
  by <- if (name == "assink2016") "study" else "study"
  for (rho in c(0.6, 0.8)) cov(paste(name, "impute", rho), list(set = name, by = "impute_covariance_matrix", cluster = by, r = rho),
                               impute_covariance_matrix(f$vi, cluster = f[[by]], r = rho, return_list = FALSE))
  cov(paste(name, "impute smooth"), list(set = name, by = "impute_covariance_matrix", cluster = by, r = 0.6, smooth_vi = TRUE),
      impute_covariance_matrix(f$vi, cluster = f[[by]], r = 0.6, smooth_vi = TRUE, return_list = FALSE))
}
f <- sets$ishak2007$frame
for (a in c(0.5, 0.97)) cov(paste("ishak2007 impute ar1", a), list(set = "ishak2007", by = "impute_covariance_matrix", cluster = "study", ti = "months", ar1 = a),
                            impute_covariance_matrix(f$vi, cluster = f$study, ti = f$months, ar1 = a, return_list = FALSE))
cov("ishak2007 impute r and ar1", list(set = "ishak2007", by = "impute_covariance_matrix", cluster = "study", ti = "months", ar1 = 0.5, r = 0.4),
    impute_covariance_matrix(f$vi, cluster = f$study, ti = f$months, ar1 = 0.5, r = 0.4, return_list = FALSE))
f$months_n <- f$months
cov("ishak2007 vcalc phi", list(set = "ishak2007", by = "vcalc", cluster = "study", time1 = "months", phi = 0.9), vcalc(vi, cluster = study, time1 = months, phi = 0.9, data = f))
f <- sets$assink2016$frame
cov("assink2016 impute subgroup", list(set = "assink2016", by = "impute_covariance_matrix", cluster = "study", r = 0.6, subgroup = "deltype"),
    impute_covariance_matrix(f$vi, cluster = f$study, r = 0.6, subgroup = f$deltype, return_list = FALSE))
cov("assink2016 vcalc obs", list(set = "assink2016", by = "vcalc", cluster = "study", obs = "esid", rho = 0.6), vcalc(vi, cluster = study, obs = esid, rho = 0.6, data = f))
cov("assink2016 vcalc type and obs", list(set = "assink2016", by = "vcalc", cluster = "study", type = "deltype", obs = "esid", rho = c(0.7, 0.4)),
    vcalc(vi, cluster = study, type = deltype, obs = esid, rho = c(0.7, 0.4), data = f))
cov("assink2016 vcalc subgroup", list(set = "assink2016", by = "vcalc", cluster = "study", subgroup = "deltype", obs = "esid", rho = 0.6),
    vcalc(vi, cluster = study, subgroup = deltype, obs = esid, rho = 0.6, data = f))
f <- sets$SATcoaching$frame
cov("SATcoaching vcalc type", list(set = "SATcoaching", by = "vcalc", cluster = "study", type = "test", rho = 0.66), vcalc(vi, cluster = study, type = test, rho = 0.66, data = f))
f <- sets$gleser2009_OR$frame
f$control <- "c"
for (g in c("RD", "OR", "RR")) {
  f <- transform(sets[[paste0("gleser2009_", g)]]$frame, control = "c")
  cov(paste0("gleser2009_", g, " vcalc shared control"), list(set = paste0("gleser2009_", g), by = "vcalc", cluster = "study", grp1 = "trt", grp2 = "'c' in every row", w1 = "nt", w2 = "nc"),
      vcalc(vi, cluster = study, grp1 = trt, grp2 = control, w1 = nt, w2 = nc, data = f))
}
f <- sets$knapp2017$frame
cov("knapp2017 vcalc groups", list(set = "knapp2017", by = "vcalc", cluster = "study", grp1 = "group1", grp2 = "group2", w1 = "n_sz", w2 = "n_hc"),
    vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc, obs = seq_len(nrow(f)), rho = 0.5, data = f))
covs[["knapp2017 vcalc groups"]]$obs <- "row number"
covs[["knapp2017 vcalc groups"]]$rho <- 0.5

aggs <- list()
agg <- function(set, cluster, label, ...) {
  asked <- as.list(substitute(list(...)))[-1]
  if (is.name(asked$rho)) asked$rho <- eval(asked$rho, parent.frame())
  f <- sets[[set]]$frame
  f$cluster_ <- f[[cluster]]
  e <- escalc(measure = "GEN", yi = f$yi, vi = f$vi, data = f[setdiff(names(f), c("yi", "vi"))])
  got <- quiet(eval(as.call(c(list(quote(aggregate), quote(e), cluster = quote(cluster_)), asked))))
  about <- list(set = set, cluster = cluster, options = lapply(asked, function(x) if (is.numeric(x) || is.character(x) || is.logical(x)) x else paste(deparse(x), collapse = "")))
  aggs[[paste(set, label)]] <<- if (got$failed) c(about, list(error = unclass(got$value))) else
    c(about, list(clusters = I(as.character(got$value$cluster_)), yi = num(got$value$yi), vi = num(got$value$vi)))
}
for (set in c("assink2016", "ishak2007", "bornmann2007")) {
  agg(set, "study", "ID", struct = "ID")
  for (rho in c(0, 0.5, 0.9)) agg(set, "study", paste("CS", rho), struct = "CS", rho = rho)
  agg(set, "study", "CS 0.5 unweighted", struct = "CS", rho = 0.5, weighted = FALSE)
}
agg("ishak2007", "study", "CAR 0.9 months", struct = "CAR", time = months, phi = 0.9)
agg("ishak2007", "study", "CAR 0.5 time", struct = "CAR", time = time, phi = 0.5)
agg("ishak2007", "study", "CS+CAR", struct = "CS+CAR", time = time, rho = 0.5, phi = 0.7)
agg("ishak2007", "study", "CS*CAR", struct = "CS*CAR", time = time, obs = row, rho = 0.5, phi = 0.7)
agg("ishak2007", "study", "V", V = sets$ishak2007$V)
agg("hierdat", "studyid", "CS 0.5", struct = "CS", rho = 0.5)
write_json(list(meta = versions("generate_dependent_robust.R"), covariances = covs, aggregates = aggs), file.path(folder, "covariances.json"))
message(length(covs), " covariances, ", length(aggs), " aggregates")
