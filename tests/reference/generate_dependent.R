# Pinned answers of rma.mv for dependent effects: models x data sets x {REML, ML}.
#
#   Rscript generate_dependent.R        # from any folder
#
# writes dependent/data.json (every data set, V, correlations, distances) and dependent/fits.json. Every model is fitted
# with metafor's default optimiser and with several tight ones, each from the start and again from the best so far. Then
# the likelihood, written here from its definition (dense, with the exact score), is climbed from the best of them and from
# starts far apart, and rma.mv is asked once more with all components held at the highest point: its log-likelihood there
# is the proof. All numbers of an entry come from that call. No date or random number goes into the files (times apart).

options(warn = 1, stringsAsFactors = FALSE, digits = 15)
argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
source(file.path(here, "dependent_data.R"))
dir.create(file.path(here, "dependent"), showWarnings = FALSE)
only <- commandArgs(TRUE)                 # names of sets or models, for a quick look: they go to standard output

# ---- models: m(set, mods, random, struct, fixed components, start of rho)

models <- list()
m <- function(set, label, mods, random, struct = NULL, fixed = list(), init = list(), dist = NULL) {
  models[[paste(set, label, sep = " | ")]] <<- list(set = set, mods = mods, random = random, struct = struct,
                                                   fixed = fixed, init = init)
}
m("konstantopoulos2011", "three levels", "~ 1", "~ 1 | district/school")
m("konstantopoulos2011", "two levels", "~ 1", "~ 1 | study")
m("konstantopoulos2011", "year", "~ year_c", "~ 1 | district/school")
m("konstantopoulos2011", "crossed", "~ 1", c("~ 1 | district", "~ 1 | year", "~ 1 | study"))
m("konstantopoulos2011", "CS", "~ 1", "~ school | district", "CS")
m("konstantopoulos2011", "district only", "~ 1", "~ 1 | district")
m("konstantopoulos2011", "confounded", "~ 1", c("~ 1 | study", "~ 1 | district/school"))
for (s in c("UN", "CS", "HCS", "DIAG", "ID")) m("berkey1998", s, "~ outcome - 1", "~ outcome | trial", s)
m("berkey1998", "UN year", "~ outcome + outcome:year_c - 1", "~ outcome | trial", "UN")
m("berkey1998", "three levels", "~ outcome - 1", "~ 1 | trial/outcome")
m("berkey1998", "no random effects", "~ outcome - 1", NULL)
m("berkey1998", "UN rho 0.5", "~ outcome - 1", "~ outcome | trial", "UN", fixed = list(rho = 0.5))
m("assink2016", "three levels", "~ 1", "~ 1 | study/esid")
m("assink2016", "deltype", "~ deltype", "~ 1 | study/esid")
m("assink2016", "several", "~ pubstatus + year_c + deltype", "~ 1 | study/esid")
m("assink2016", "crossed", "~ 1", c("~ 1 | study", "~ 1 | deltype", "~ 1 | id"))
for (s in c("CS", "HCS", "UN", "DIAG")) m("assink2016", paste("deltype", s), "~ deltype - 1", "~ deltype | study", s)
m("assink2016_V", "CHE", "~ 1", "~ 1 | study/esid")
m("assink2016_V", "CHE deltype", "~ deltype", "~ 1 | study/esid")
m("assink2016_V", "slope", "~ year_c", c("~ deltype | study", "~ 1 | id"), "DIAG")
m("bornmann2007", "three levels", "~ 1", "~ 1 | study/obs")
m("bornmann2007", "type", "~ type", "~ 1 | study/obs")
m("bornmann2007", "type and year", "~ type + year_c", "~ 1 | study/obs")
m("bornmann2007", "crossed", "~ type", c("~ 1 | country", "~ 1 | study/obs"))
m("bornmann2007", "CS", "~ type", "~ obs | study", "CS")
m("bornmann2007", "country", "~ type * country", "~ 1 | study/obs")
m("crede2010", "four levels", "~ 1", "~ 1 | studyid/sampleid/row")
m("crede2010", "criterion", "~ criterion", "~ 1 | studyid/sampleid/row")
m("crede2010", "criterion UN", "~ criterion - 1", "~ criterion | studyid", "UN")
m("crede2010", "criterion UN and rows", "~ criterion - 1", c("~ criterion | studyid", "~ 1 | row"), "UN")
m("crede2010", "slope of year", "~ year_c", c("~ criterion | studyid", "~ 1 | row"), "HCS")
for (s in c("AR", "HAR", "CS", "HCS", "UN", "DIAG", "ID")) m("ishak2007", s, "~ factor(time) - 1", "~ time | study", s)
m("ishak2007", "CAR", "~ factor(time) - 1", "~ months | study", "CAR")
m("ishak2007", "CAR by number", "~ factor(time) - 1", "~ time | study", "CAR")
m("ishak2007", "AR and rows", "~ factor(time) + mbase - 1", c("~ time | study", "~ 1 | row"), "AR")
m("ishak2007", "AR and ID", "~ factor(time) - 1", c("~ time | study", "~ time | row"), c("AR", "ID"))
m("ishak2007", "GEN", "~ months", "~ months | study", "GEN")
m("ishak2007", "GDIAG", "~ months", "~ months | study", "GDIAG")
for (s in c("AR", "HAR", "CS", "HCS", "UN", "DIAG", "ID", "CAR")) m("fine1993", s, "~ factor(time) - 1", "~ time | study", s)
m("fine1993", "no random effects", "~ factor(time) - 1", NULL)
for (s in c("UN", "CS", "HCS", "DIAG", "ID")) m("kalaian1996", s, "~ outcome - 1", "~ outcome | study", s)
m("kalaian1996", "UN hours", "~ outcome + outcome:loghrs - 1", "~ outcome | study", "UN")
m("kalaian1996", "UN hours, one tau2 0", "~ outcome + outcome:loghrs - 1", "~ outcome | study", "UN", fixed = list(tau2 = c(NA, 0), rho = 0))
m("kalaian1996", "two levels", "~ outcome", "~ 1 | study")
m("begg1989", "study", "~ trt", "~ 1 | study")
m("begg1989", "arms", "~ trt + arms", "~ 1 | study")
m("begg1989", "CS", "~ trt - 1", "~ trt | study", "CS")
m("begg1989", "UN", "~ trt - 1", "~ trt | study", "UN")
m("begg1989", "CS rho 0 and study", "~ trt", c("~ 1 | study", "~ trt | study"), "CS", fixed = list(rho = 0))
m("knapp2017", "V", "~ 1", "~ 1 | study/comp")
m("knapp2017_difficulty", "difficulty", "~ difficulty", "~ 1 | study/comp")
m("knapp2017_difficulty", "GEN", "~ difficulty", "~ difficulty | study", "GEN")
m("mccurdy2020", "five terms", "~ condition", c("~ 1 | article/experiment/sample/id", "~ 1 | pairing"))
m("mccurdy2020", "UN of condition", "~ condition - 1", c("~ condition | article", "~ 1 | id"), "UN")
m("lim2014", "phylogeny", "~ 1", c("~ 1 | article", "~ 1 | esid", "~ 1 | species", "~ 1 | species_phy"))
m("lim2014", "phylogeny and environment", "~ environment", c("~ 1 | article", "~ 1 | esid", "~ 1 | species_phy"))
m("senn2013", "network", "~ study + treatment - 1", "~ treatment | study", "CS", fixed = list(rho = 0.5))
m("senn2013", "network without heterogeneity", "~ study + treatment - 1", NULL)
m("hasselblad1998", "network", "~ study + trt - 1", "~ trt | study", "CS", fixed = list(rho = 0.5))
m("hasselblad1998", "arms UN", "~ trt - 1", "~ trt | study", "UN")
m("hasselblad1998", "arms CS", "~ trt - 1", "~ trt | study", "CS")
m("hasselblad1998_contrasts", "network", "~ self_help + ind_counseling + grp_counseling - 1", "~ comp | study", "CS", fixed = list(rho = 0.5))
m("hasselblad1998_contrasts", "inconsistency", "~ self_help + ind_counseling + grp_counseling - 1",
  c("~ 1 | comp", "~ comp | study"), "CS", fixed = list(rho = 0.5))
m("dagostino1998", "UN", "~ outcome - 1", "~ outcome | study", "UN")
m("dagostino1998", "HCS", "~ outcome - 1", "~ outcome | study", "HCS")
m("dagostino1998", "three levels", "~ outcome", "~ 1 | study/esid")
for (g in c("RD", "OR", "RR")) {
  m(paste0("gleser2009_", g), "no random effects", "~ trt - 1", NULL)
  m(paste0("gleser2009_", g), "one effect", "~ 1", "~ 1 | study")
}
m("tannersmith2016", "CHE", "~ 1", "~ 1 | studyid/esid")
m("tannersmith2016", "ID", "~ 1", "~ esid | studyid", "CS")
m("tannersmith2016", "moderators", "~ aget1_c + sexmix", "~ 1 | studyid/esid")
m("tannersmith2016", "slope GEN", "~ propmale", c("~ propmale | studyid", "~ 1 | esid"), "GEN")
m("tannersmith2016", "slope GDIAG", "~ propmale", c("~ propmale | studyid", "~ 1 | esid"), "GDIAG")
for (s in c("UN", "CS", "HCS")) m("craft2003", s, "~ pair - 1", "~ pair | study", s)
for (s in c("UN", "CS", "DIAG")) m("riley2003", s, "~ outcome - 1", "~ outcome | study", s)
m("riley2003", "CS and DIAG", "~ outcome - 1", c("~ outcome | study", "~ outcome | row"), c("CS", "DIAG"))
m("obrien2003", "three levels", "~ bmi_c", "~ 1 | study/grp")
m("obrien2003", "GEN", "~ bmi_c", "~ bmi_c | study", "GEN")
m("obrien2003", "GDIAG", "~ bmi_c", "~ bmi_c | study", "GDIAG")
m("obrien2003", "GEN and groups", "~ bmi_c", c("~ bmi_c | study", "~ 1 | study/grp"), "GEN", fixed = list(sigma2 = c(0, NA)))
m("colditz1994", "UN", "~ group - 1", "~ group | trial", "UN")
m("colditz1994", "UN latitude", "~ group + group:ablat_c - 1", "~ group | trial", "UN")
m("maire2019", "SPGAU", "~ 1", "~ site_station | const", "SPGAU", init = list(rho.init = 10))
m("maire2019", "SPEXP", "~ 1", "~ site_station | const", "SPEXP", init = list(rho.init = 10))
m("maire2019", "stations", "~ 1", "~ 1 | site_station")
for (s in c("SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH")) {
  m("spatial_made", s, "~ 1", "~ place | all", s, init = list(rho.init = 2))
  m("spatial_made", paste(s, "by region"), "~ x", "~ place | region", s, init = list(rho.init = 2))
}
m("spatial_made", "SPEXP and places", "~ 1", c("~ place | all", "~ 1 | place"), "SPEXP", init = list(rho.init = 2))
m("hierdat", "three levels", "~ 1", "~ 1 | studyid/esid")
m("hierdat", "moderators", "~ followup + binge", "~ 1 | studyid/esid")
m("hierdat", "slope GEN", "~ binge", c("~ binge | studyid", "~ 1 | esid"), "GEN")
m("corrdat", "CHE", "~ 1", "~ 1 | studyid/esid")
m("corrdat", "CHE moderators", "~ males + college + binge", "~ 1 | studyid/esid")
m("corrdat", "SCE", "~ males + college + binge", "~ 1 | studyid")
m("oswald2013_ex1", "three levels", "~ 1", "~ 1 | study/row")
m("oswald2013", "crossed", "~ 1", c("~ 1 | study", "~ 1 | cat", "~ 1 | row"))
m("SATcoaching", "UN", "~ test - 1", "~ test | study", "UN")
m("SATcoaching", "UN hours", "~ test + test:hrs_c - 1", "~ test | study", "UN")
m("SATcoaching", "CS", "~ study_type", "~ test | study", "CS")
m("dropoutPrevention", "four levels", "~ study_design + attrition + group_equivalence + adjusted", "~ 1 | studyID/studySample/row")
m("dropoutPrevention", "outcome", "~ outcome + male_pct + average_age", "~ 1 | studyID/studySample")

# ---- the marginal covariance from its definition

split_random <- function(text) {
  part <- strsplit(sub("^~", "", text), "|", fixed = TRUE)[[1]]
  list(inner = trimws(part[1]), outer = trimws(strsplit(part[2], "/", fixed = TRUE)[[1]]))
}
same <- function(label) outer(label, label, "==") * 1
joined <- function(frame, names) do.call(paste, c(lapply(names, function(n) as.character(frame[[n]])), sep = "\r"))
terms_of <- function(model, set) {
  frame <- set$frame
  out <- list()
  blocks <- 0
  for (text in model$random) {
    p <- split_random(text)
    if (p$inner == "1") {
      for (j in seq_along(p$outer)) {
        label <- joined(frame, p$outer[seq_len(j)])
        R <- if (length(p$outer) == 1 && !is.null(set$R[[p$outer]])) set$R[[p$outer]][label, label] else same(label)
        out[[length(out) + 1]] <- list(kind = "S", K = R)
      }
    } else {
      blocks <- blocks + 1
      struct <- model$struct[blocks]
      near <- same(as.character(frame[[p$outer]]))
      term <- list(kind = c("G", "H")[blocks], struct = struct, near = near)
      if (struct %in% c("GEN", "GDIAG")) {
        term$Z <- unname(model.matrix(as.formula(paste("~", p$inner)), frame))
        term$J <- ncol(term$Z)
      } else {
        x <- frame[[p$inner]]
        levels <- sort(unique(x), method = "radix")
        term$at <- match(x, levels)
        term$J <- length(levels)
        if (struct == "CAR") term$lag <- abs(outer(x, x, "-"))
        if (struct %in% c("AR", "HAR")) term$lag <- abs(outer(term$at, term$at, "-"))
        if (startsWith(struct, "SP")) term$lag <- set$D[[p$inner]][x, x]
      }
      out[[length(out) + 1]] <- term
    }
  }
  out
}
correlated <- function(term, rho) {
  s <- term$struct
  if (s %in% c("ID", "DIAG", "GDIAG")) return(diag(term$J))
  if (s %in% c("CS", "HCS")) return((1 - rho) * diag(term$J) + rho)
  C <- diag(term$J)
  C[lower.tri(C)] <- rho
  C[upper.tri(C)] <- t(C)[upper.tri(C)]
  C
}
spatial <- function(struct, d, rho) switch(struct,
  SPEXP = exp(-d / rho), SPGAU = exp(-d^2 / rho^2), SPLIN = (1 - d / rho) * (d < rho),
  SPRAT = 1 - (d / rho)^2 / (1 + (d / rho)^2), SPSPH = (1 - 1.5 * d / rho + 0.5 * (d / rho)^3) * (d < rho))
part <- function(term, tau2, rho, L = NULL) {
  if (!is.null(term$lag)) {
    C <- if (startsWith(term$struct, "SP")) spatial(term$struct, term$lag, rho) else rho^term$lag
    t <- rep(sqrt(tau2), length.out = term$J)[term$at]
    return(term$near * C * outer(t, t))
  }
  G <- if (!is.null(L)) tcrossprod(L) else {
    t <- rep(sqrt(tau2), length.out = term$J)
    correlated(term, rho) * outer(t, t)
  }
  term$near * if (is.null(term$Z)) G[term$at, term$at] else term$Z %*% G %*% t(term$Z)
}

# ---- free parameters: variances, standard deviations where they are several, Cholesky factors of UN and GEN

NAMES <- list(G = c("tau2", "rho"), H = c("gamma2", "phi"))
plan_of <- function(terms, fit) {
  held <- fit$vc.fix
  plan <- list()
  s <- 0
  for (term in terms) {
    if (term$kind == "S") {
      s <- s + 1
      plan[[length(plan) + 1]] <- list(kind = "S", form = "var", free = !held$sigma2[s], now = fit$sigma2[s])
      next
    }
    n <- NAMES[[term$kind]]
    tau2 <- fit[[n[1]]]
    rho <- fit[[n[2]]]
    free_t <- !held[[n[1]]]
    free_r <- if (term$struct %in% c("ID", "DIAG", "GDIAG")) FALSE else !held[[n[2]]]
    rho[is.na(rho)] <- 0
    full <- term$struct %in% c("UN", "GEN") && all(free_t) && all(free_r)
    form <- if (full) "chol" else if (length(tau2) > 1 && any(free_r)) "sd" else "var"
    lo <- if (startsWith(term$struct, "SP")) 1e-8 else if (term$struct == "CAR") 0 else if (term$struct %in% c("CS", "HCS")) -1 / (term$J - 1) else -1
    hi <- if (startsWith(term$struct, "SP")) Inf else 1
    plan[[length(plan) + 1]] <- list(kind = term$kind, form = form, free = c(free_t, free_r), now = c(tau2, rho),
                                     J = length(tau2), lo = lo, hi = hi, struct = term$struct)
  }
  plan
}
factor_of <- function(p, tau2, rho) {
  t <- sqrt(tau2)
  G <- correlated(list(struct = "UN", J = p$J), rho) * outer(t, t)
  e <- eigen(G, symmetric = TRUE)
  t(qr.R(qr(t(e$vectors %*% diag(sqrt(pmax(e$values, 1e-12 * max(e$values, 1e-12))), p$J)))))
}
pack <- function(plan, components) {
  x <- lo <- hi <- NULL
  for (i in seq_along(plan)) {
    p <- plan[[i]]
    now <- components[[i]]
    if (p$form == "chol") {
      L <- factor_of(p, now[seq_len(p$J)], now[-seq_len(p$J)])
      v <- L[lower.tri(L, TRUE)]
      x <- c(x, v); lo <- c(lo, rep(-Inf, length(v))); hi <- c(hi, rep(Inf, length(v)))
      next
    }
    n <- if (p$kind == "S") 1 else p$J
    v <- now
    l <- rep(0, length(v)); h <- rep(Inf, length(v))
    if (p$form == "sd") v[seq_len(n)] <- sqrt(v[seq_len(n)])
    if (length(v) > n) { l[-seq_len(n)] <- p$lo; h[-seq_len(n)] <- p$hi }
    x <- c(x, v[p$free]); lo <- c(lo, l[p$free]); hi <- c(hi, h[p$free])
  }
  list(x = x, lo = lo, hi = hi)
}
unpack <- function(plan, x) {
  used <- 0
  lapply(plan, function(p) {
    if (p$form == "chol") {
      L <- matrix(0, p$J, p$J)
      n <- p$J * (p$J + 1) / 2
      L[lower.tri(L, TRUE)] <- x[used + seq_len(n)]
      used <<- used + n
      G <- tcrossprod(L)
      t <- sqrt(diag(G))
      C <- G / outer(ifelse(t > 0, t, 1), ifelse(t > 0, t, 1))
      return(list(values = c(t^2, C[lower.tri(C)]), L = L))
    }
    v <- p$now
    n <- sum(p$free)
    got <- x[used + seq_len(n)]
    used <<- used + n
    if (p$form == "sd") { v[seq_len(p$J)] <- sqrt(v[seq_len(p$J)]); v[p$free] <- got; v[seq_len(p$J)] <- v[seq_len(p$J)]^2 }
    else v[p$free] <- got
    list(values = v)
  })
}
marginal <- function(V, terms, plan, x) {
  got <- unpack(plan, x)
  for (i in seq_along(terms)) {
    v <- got[[i]]$values
    V <- V + if (terms[[i]]$kind == "S") v * terms[[i]]$K
             else part(terms[[i]], v[seq_len(plan[[i]]$J)], v[-seq_len(plan[[i]]$J)], got[[i]]$L)
  }
  V
}
likelihood <- function(M, y, X, method) {
  U <- tryCatch(chol(M), error = function(e) NULL)
  if (is.null(U)) return(NULL)
  W <- chol2inv(U)
  A <- crossprod(X, W %*% X)
  C <- tryCatch(chol(A), error = function(e) NULL)
  if (is.null(C)) return(NULL)
  WX <- W %*% X
  P <- W - WX %*% chol2inv(C) %*% t(WX)
  Py <- as.numeric(P %*% y)
  ll <- -sum(log(diag(U))) - sum(y * Py) / 2
  n <- length(y)
  ll <- if (method == "ML") ll - n / 2 * log(2 * pi)
        else ll - (n - ncol(X)) / 2 * log(2 * pi) + as.numeric(determinant(crossprod(X))$modulus) / 2 - sum(log(diag(C)))
  list(value = ll, Q = if (method == "ML") W else P, Py = Py)
}
climb <- function(y, X, V, terms, plan, method, start, maxit = 120) {
  value <- function(x) {
    got <- likelihood(marginal(V, terms, plan, x), y, X, method)
    if (is.null(got)) 1e10 else -got$value
  }
  box <- pack(plan, lapply(plan, `[[`, "now"))
  scale <- pmax(abs(start), 1e-3 * max(abs(start)), 1e-8)
  slope <- function(x) {
    got <- likelihood(marginal(V, terms, plan, x), y, X, method)
    if (is.null(got)) return(rep(0, length(x)))
    vapply(seq_along(x), function(j) {
      h <- 1e-3 * max(abs(x[j]), 0.01 * scale[j])
      if (is.finite(box$lo[j])) h <- min(h, if (x[j] - box$lo[j] > 1e-4 * h) x[j] - box$lo[j] else h)
      step <- function(s) { z <- x; z[j] <- z[j] + s; marginal(V, terms, plan, z) }
      D <- if (x[j] - h < box$lo[j] || x[j] + h > box$hi[j]) {
        s <- if (x[j] - h < box$lo[j]) h else -h
        h <- s * 1e-2
        (-3 * step(0) + 4 * step(h / 2) - step(h)) / h
      } else (8 * (step(h / 2) - step(-h / 2)) - (step(h) - step(-h))) / (6 * h / 1)
      -0.5 * (sum(got$Py * (D %*% got$Py)) - sum(got$Q * D))
    }, 0)
  }
  fit <- nlminb(start, value, slope, lower = box$lo, upper = box$hi, scale = 1 / scale,
                control = list(rel.tol = 1e-12, x.tol = 1e-11, abs.tol = 0, iter.max = maxit, eval.max = 2 * maxit))
  x <- fit$par
  best <- value(x)
  small <- NA
  for (round in 1:8) {
    g <- slope(x)
    inside <- !((x <= box$lo + 1e-12 & g > 0) | (x >= box$hi - 1e-12 & g < 0))
    if (!any(inside)) break
    w <- which(inside)
    H <- vapply(w, function(j) {
      h <- 1e-4 * max(abs(x[j]), 0.01 * scale[j])
      if (x[j] - h < box$lo[j] || x[j] + h > box$hi[j]) h <- h * 1e-2
      up <- x; up[j] <- min(x[j] + h, box$hi[j])
      down <- x; down[j] <- max(x[j] - h, box$lo[j])
      (slope(up) - slope(down))[w] / (up[j] - down[j])
    }, numeric(length(w)))
    H <- matrix(H, length(w))
    e <- eigen((H + t(H)) / 2 * outer(scale[w], scale[w]), symmetric = TRUE)
    small <- min(e$values)
    if (small <= 1e-8 * max(e$values)) break
    step <- -scale[w] * (e$vectors %*% (crossprod(e$vectors, g[w] * scale[w]) / e$values))
    new <- x
    new[w] <- pmin(pmax(x[w] + step, box$lo[w]), box$hi[w])
    after <- value(new)
    if (!is.finite(after) || after > best + 1e-10) break
    x <- new
    best <- after
    if (max(abs(step) / scale[w]) < 1e-12) break
  }
  g <- slope(x)
  list(x = x, value = -best, slope = max(c(0, abs(g * scale)[inside])), curvature = small, at_bound = !inside)
}

# ---- rma.mv

call_for <- function(model, set, method, given = list(), control = list(), test = "z", dfs = "residual") {
  frame <- set$frame
  V <- if (is.null(set$V)) set$frame$vi else set$V
  args <- list(quote(rma.mv), quote(yi), quote(V), mods = as.formula(model$mods), data = quote(frame), method = method, test = test,
               dfs = dfs, control = control)
  if (!is.null(model$random)) {
    args$random <- lapply(model$random, as.formula)
    if (!is.null(model$struct)) args$struct <- model$struct
    uses <- intersect(names(set$R), unlist(lapply(model$random, function(t) split_random(t)$outer)))
    if (length(uses)) args$R <- quote(set$R[uses])
    if (any(startsWith(c(model$struct, ""), "SP"))) args$dist <- quote(set$D)
  }
  held <- model$fixed
  held[names(given)] <- given
  for (n in names(held)) args[[n]] <- held[[n]]
  yi <- frame$yi
  eval(as.call(args))
}
quiet <- function(expr) {
  said <- NULL
  began <- proc.time()[["elapsed"]]
  value <- withCallingHandlers(
    tryCatch(expr, error = function(e) structure(conditionMessage(e), class = "refusal")),
    warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleMessage") })
  took <- proc.time()[["elapsed"]] - began
  list(value = value, said = unique(trimws(said)), took = took, failed = inherits(value, "refusal"))
}
components <- function(fit) {
  out <- list()
  if (fit$withS) out$sigma2 <- fit$sigma2
  if (fit$withG) { out$tau2 <- fit$tau2; out$rho <- fit$rho }
  if (fit$withH) { out$gamma2 <- fit$gamma2; out$phi <- fit$phi }
  out
}
inits <- function(fit) {
  at <- components(fit)
  for (n in names(at)) at[[n]][is.na(at[[n]])] <- 0
  for (n in intersect(c("sigma2", "tau2", "gamma2"), names(at))) at[[n]] <- pmax(at[[n]], 1e-10)
  setNames(at, paste0(names(at), ".init"))
}
TIGHT <- list(
  nlminb = list(optimizer = "nlminb", rel.tol = 1e-14, x.tol = 1e-14, iter.max = 5000, eval.max = 5000),
  BFGS = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-13, maxit = 300),
  bobyqa = list(optimizer = "bobyqa", rhoend = 1e-9, maxfun = 3000))

foreseen <- function(fit) {
  X <- unique(fit$X)
  X <- X[seq_len(min(3, nrow(X))), , drop = FALSE]
  several <- fit$withG && length(fit$tau2) > 1 && !fit$struct[1] %in% c("GEN", "GDIAG")
  levels <- if (several) fit$g.levels.f[[1]] else NA
  levels2 <- fit$withH && length(fit$gamma2) > 1
  out <- list()
  for (i in seq_len(nrow(X))) for (level in levels) {
    args <- list(quote(predict), quote(fit))
    if (!fit$int.only) args <- c(args, list(newmods = if (fit$int.incl) X[i, -1] else X[i, ]))
    if (!is.na(level)) args$tau2.levels <- level
    if (levels2) args$gamma2.levels <- fit$h.levels.f[[1]][1]
    got <- quiet(eval(as.call(args)))
    if (got$failed) { out[[length(out) + 1]] <- list(x = num(X[i, ]), level = level, error = unclass(got$value)); next }
    p <- got$value
    out[[length(out) + 1]] <- list(x = num(X[i, ]), level = if (is.na(level)) NULL else level, pred = p$pred[1], se = p$se[1], ci = num(c(p$ci.lb[1], p$ci.ub[1])),
                                   pi = if (is.null(p$pi.lb)) NULL else num(c(p$pi.lb[1], p$pi.ub[1])))
  }
  out
}
tested <- function(fit) list(statistic = num(fit$zval), p = num(fit$pval), ci_low = num(fit$ci.lb), ci_high = num(fit$ci.ub),
                             df = if (is.null(fit$ddf) || all(is.na(fit$ddf))) NULL else num(fit$ddf), QM = fit$QM[1], QM_df = num(fit$QMdf), QM_p = fit$QMp[1],
                             predictions = foreseen(fit))
starts_of <- function(plan, y, v) {
  s <- max(var(y) - mean(v), var(y) / 10)
  fill <- function(values, rho) lapply(seq_along(plan), function(i) {
    p <- plan[[i]]
    n <- if (p$kind == "S") 1 else p$J
    c(rep(values[i], n), if (p$kind == "S") NULL else if (startsWith(p$struct, "SP")) rep(abs(rho) * 10 + 0.1, length(p$now) - n)
      else rep(min(max(rho, p$lo * 0.9), 0.95), length(p$now) - n))
  })
  k <- length(plan)
  out <- list(fill(rep(s / k, k), 0.5), fill(rep(s / 1000, k), 0.1), fill(rep(s, k), 0.9), fill(rep(s / k, k), -0.5))
  if (k > 1) for (i in seq_len(k)) { w <- rep(s / 100, k); w[i] <- s; out[[length(out) + 1]] <- fill(w, 0.3) }
  out
}

fit_one <- function(model, set, method) {
  frame <- set$frame
  first <- quiet(call_for(model, set, method, control = model$init))
  out <- list(seconds = first$took, default = list(said = I(as.character(first$said))))
  if (first$failed) out$default$error <- unclass(first$value) else {
    out$default$loglik <- as.numeric(logLik(first$value))
    out$default <- c(out$default, lapply(components(first$value), num))
  }
  best <- if (first$failed) NULL else first$value
  which_best <- "default"
  runs <- list()
  kinds <- if (is.null(model$random)) list() else if (first$failed) TIGHT else if (nrow(frame) > 60) TIGHT["nlminb"] else TIGHT[c("nlminb", "BFGS")]
  for (n in names(kinds)) for (again in if (is.null(best)) FALSE else c(FALSE, TRUE)) {
    if (again && (n != "nlminb" || nrow(frame) > 200)) next
    start <- if (again) inits(best) else model$init
    got <- quiet(call_for(model, set, method, control = c(kinds[[n]], start)))
    label <- if (again) paste(n, "restarted") else n
    runs[[label]] <- if (got$failed) list(error = unclass(got$value)) else list(loglik = as.numeric(logLik(got$value)))
    if (!got$failed && (is.null(best) || logLik(got$value) > logLik(best))) { best <- got$value; which_best <- label }
  }
  out$runs <- runs
  if (is.null(best)) { out$error <- "no optimiser of rma.mv ends"; return(out) }
  out$parms <- best$parms
  held <- components(best)
  if (!is.null(model$random)) {
    y <- as.numeric(frame$yi)
    X <- unname(best$X)
    V <- as.matrix(if (is.null(set$V)) diag(frame$vi) else set$V)
    terms <- terms_of(model, set)
    plan <- plan_of(terms, best)
    start <- pack(plan, lapply(plan, `[[`, "now"))$x
    M <- tryCatch(max(abs(marginal(V, terms, plan, start) - as.matrix(best$M))) / max(abs(best$M)), error = function(e) conditionMessage(e))
    if (!is.numeric(M) || M > 1e-6) stop("the covariance written here is not that of rma.mv: ", M)
    many <- c(list(start), lapply(starts_of(plan, y, frame$vi), function(s) pack(plan, s)$x))
    if (length(start) > 8) many <- many[1:2]
    many <- many[seq_len(min(length(many), if (nrow(frame) > 150) 2 else if (nrow(frame) > 30) 3 else 5))]
    peaks <- lapply(many, function(s) tryCatch(climb(y, X, V, terms, plan, method, s), error = function(e) NULL))
    peaks <- Filter(function(p) !is.null(p) && is.finite(p$value) && p$value > -1e9, peaks)
    if (length(peaks)) {
      values <- vapply(peaks, `[[`, 0, "value")
      top <- peaks[[which.max(values)]]
      near <- which(values > max(values) - 1e-10)
      top <- peaks[[near[which.min(vapply(peaks[near], function(p) p$slope, 0))]]]
      got <- unpack(plan, top$x)
      at <- list()
      for (i in seq_along(plan)) {
        v <- got[[i]]$values
        if (plan[[i]]$kind == "S") at$sigma2 <- c(at$sigma2, v)
        else { n <- NAMES[[plan[[i]]$kind]]; at[[n[1]]] <- v[seq_len(plan[[i]]$J)]; at[[n[2]]] <- v[-seq_len(plan[[i]]$J)] }
      }
      out$climb <- list(loglik = top$value, slope = top$slope, curvature = top$curvature, bound = any(top$at_bound),
                        peaks = num(sort(unique(round(values, 7)), decreasing = TRUE)))
      settled <- quiet(call_for(model, set, method, given = at, control = model$init))
      if (settled$failed) for (n in intersect(c("rho", "phi"), names(at))) at[[n]] <- at[[n]] * (1 - 1e-10)
      if (settled$failed) settled <- quiet(call_for(model, set, method, given = at, control = model$init))
      if (settled$failed) out$climb$refused <- unclass(settled$value)
      else if (as.numeric(logLik(settled$value)) >= as.numeric(logLik(best)) - 1e-10) { held <- at; which_best <- "climbed" }
    }
  }
  out$winner <- which_best
  z <- quiet(call_for(model, set, method, given = held, control = model$init))$value
  if (inherits(z, "refusal")) { out$error <- unclass(z); return(out) }
  t <- quiet(call_for(model, set, method, given = held, control = model$init, test = "t", dfs = "contain"))$value
  out <- c(out, list(loglik = as.numeric(logLik(z)), beta = num(z$beta), se = num(z$se), vb = rows_of(z$vb)), lapply(components(z), num),
           list(QE = z$QE, QE_df = z$k - z$p, QE_p = z$QEp, z = tested(z), t = tested(t)))
  out$fit <- z
  out
}

# ---- questions asked of some

RANEF <- c("konstantopoulos2011 | three levels", "berkey1998 | UN", "assink2016_V | CHE", "lim2014 | phylogeny", "obrien2003 | GEN")
CONFINT <- c("konstantopoulos2011 | three levels", "berkey1998 | UN", "assink2016 | three levels", "bornmann2007 | three levels")
ranef_out <- function(fit) lapply(ranef(fit), function(r) {
  names_of <- rownames(r)
  list(labels = I(names_of), blup = num(r$intrcpt), se = num(r$se), pi_low = num(r$pi.lb), pi_high = num(r$pi.ub))
})
# profile limits: components by name, from the likelihood written here
profile_of <- function(model, set, method, fit, level = 0.95) {
  y <- as.numeric(set$frame$yi)
  X <- unname(fit$X)
  V <- as.matrix(if (is.null(set$V)) diag(set$frame$vi) else set$V)
  terms <- terms_of(model, set)
  free <- fit
  free$vc.fix <- lapply(components(fit), function(x) rep(FALSE, length(x)))
  base <- plan_of(terms, free)
  top <- as.numeric(logLik(fit))
  cut <- top - qchisq(level, 1) / 2
  out <- list()
  for (i in seq_along(base)) for (j in seq_along(base[[i]]$now)) {
    if (!base[[i]]$free[min(j, length(base[[i]]$free))]) next
    p <- base
    if (p[[i]]$form == "chol") { p[[i]]$form <- "sd"; p[[i]]$free <- rep(TRUE, length(p[[i]]$now)); p[[i]]$lo <- -1; p[[i]]$hi <- 1 }
    p[[i]]$free[j] <- FALSE
    here_now <- p[[i]]$now[j]
    is_rho <- p[[i]]$kind != "S" && j > p[[i]]$J
    last <- lapply(p, `[[`, "now")
    height <- function(c) {
      p[[i]]$now[j] <- c
      for (k in seq_along(p)) if (k != i) p[[k]]$now <- last[[k]]
      best <- -Inf
      for (w in c(1, 0.3, 3)) {
        s <- pack(p, last)$x * w
        box <- pack(p, last)
        s <- pmin(pmax(s, box$lo), pmin(box$hi, 1e6))
        if (length(s) == 0) { v <- likelihood(marginal(V, terms, p, s), y, X, method); return(if (is.null(v)) -1e10 - cut else v$value - cut) }
        got <- tryCatch(climb(y, X, V, terms, p, method, s), error = function(e) NULL)
        if (!is.null(got)) best <- max(best, got$value)
      }
      best - cut
    }
    down <- if (is_rho) -1 + 1e-9 else 0
    up <- if (is_rho) 1 - 1e-9 else { u <- max(here_now * 2, 1e-3); while (height(u) > 0 && u < 1e4) u <- u * 2; u }
    low <- if (height(down) >= 0) NA else uniroot(height, c(down, here_now), tol = 1e-13, maxiter = 200)$root
    high <- if (height(up) >= 0) NA else uniroot(height, c(here_now, up), tol = 1e-13, maxiter = 200)$root
    name <- if (p[[i]]$kind == "S") "sigma2" else NAMES[[p[[i]]$kind]][1 + is_rho]
    place <- if (p[[i]]$kind == "S") i else if (is_rho) j - p[[i]]$J else j
    out[[length(out) + 1]] <- list(component = name, place = place, estimate = here_now, low = low, high = high)
  }
  out
}

# seconds of the default fit go to a file of their own, for they differ from run to run
keep_models <- if (length(only)) models[vapply(models, function(x) x$set %in% only, TRUE) | names(models) %in% only] else models
if (!length(only)) write_json(list(meta = versions("generate_dependent.R"), sets = lapply(sets, set_out)), file.path(here, "dependent", "data.json"))
one_model <- function(name) {
  model <- keep_models[[name]]
  set <- sets[[model$set]]
  began <- proc.time()[["elapsed"]]
  entry <- list(set = model$set, mods = model$mods, random = if (is.null(model$random)) NULL else I(model$random),
                struct = if (is.null(model$struct)) NULL else I(model$struct), fixed = if (length(model$fixed)) lapply(model$fixed, num) else NULL)
  seconds <- list()
  for (method in c("REML", "ML")) {
    got <- tryCatch(fit_one(model, set, method), error = function(e) { message("!! ", name, " ", method, ": ", conditionMessage(e)); list(error = conditionMessage(e)) })
    fit <- got$fit
    seconds[[method]] <- got$seconds
    got$fit <- got$seconds <- NULL
    if (!is.null(fit)) {
      if (is.null(entry$coefficients)) {
        entry$coefficients <- I(rownames(fit$beta))
        if (!identical(model$mods, "~ 1") && ncol(fit$X) < 12) entry$X <- rows_of(unname(fit$X))
        if (fit$withG) entry$inner_levels <- I(as.character(fit$g.levels.f[[1]]))
        if (fit$withH) entry$inner_levels_2 <- I(as.character(fit$h.levels.f[[1]]))
      }
      if (name %in% RANEF && method == "REML") got$ranef <- ranef_out(fit)
      if (name %in% CONFINT) {
        got$profile <- tryCatch(profile_of(model, set, method, fit), error = function(e) conditionMessage(e))
        free <- quiet(call_for(model, set, method, control = list(optimizer = "nlminb", rel.tol = 1e-10)))$value
        ci <- quiet(confint(free, control = list(tol = 1e-10)))
        got$confint <- if (ci$failed) unclass(ci$value) else {
          l <- unclass(ci$value)
          l <- if (!is.null(l$random)) list(l) else l[vapply(l, is.list, TRUE)]
          lapply(l, function(c) list(name = rownames(c$random)[1], estimate = c$random[1, 1], low = c$random[1, 2], high = c$random[1, 3]))
        }
      }
    }
    entry$fits[[method]] <- got
    w <- got$climb
    message(sprintf("%-55s %-4s %14.8f gain %.1e over default, slope %.0e %s [%s] %.1fs", name, method, if (is.null(got$loglik)) NA else got$loglik,
                    if (is.null(got$loglik) || is.null(got$default$loglik)) NA else got$loglik - got$default$loglik,
                    if (is.null(w)) NA else w$slope, if (is.null(got$error)) "" else got$error, if (is.null(got$winner)) "" else got$winner,
                    proc.time()[["elapsed"]] - began))
  }
  list(entry = entry, seconds = seconds)
}
done <- parallel::mclapply(names(keep_models), one_model, mc.cores = 2, mc.preschedule = FALSE)
names(done) <- names(keep_models)
out <- lapply(done, `[[`, "entry")
lrt <- list()
compare <- function(a, b, method) {
  if (!all(c(a, b) %in% names(keep_models))) return(invisible())
  f <- lapply(c(a, b), function(n) call_for(keep_models[[n]], sets[[keep_models[[n]]$set]], method, control = list(rel.tol = 1e-10)))
  t <- anova(f[[1]], f[[2]])
  lrt[[length(lrt) + 1]] <<- list(full = a, reduced = b, method = method, LRT = t$LRT, p = t$pval, df = t$parms.f - t$parms.r,
                                  parms = I(c(t$parms.f, t$parms.r)), aic = num(c(t$fit.stats.f["AIC"], t$fit.stats.r["AIC"])))
}
compare("konstantopoulos2011 | three levels", "konstantopoulos2011 | district only", "REML")
compare("berkey1998 | UN", "berkey1998 | DIAG", "REML")
compare("berkey1998 | UN year", "berkey1998 | UN", "ML")
if (length(only)) {
  write_json(list(models = out), stdout())
  quit("no")
}
write_json(list(meta = versions("generate_dependent.R"), models = out, lrt = lrt), file.path(here, "dependent", "fits.json"))
write_json(list(meta = list(note = "seconds of rma.mv with its default optimiser, dense, on a shared machine: they differ from run to run"),
                seconds = lapply(done, `[[`, "seconds")), file.path(here, "dependent", "seconds.json"))
