# The data sets of dependent effects, for generate_dependent.R and generate_dependent_robust.R, which source this file.
# sets: a list by name of list(frame, source) with V (full matrix), R (known correlations by name of the random term),
# D (distances by name of the inner term) where there are some. Only public functions of R packages are called.

invisible(Sys.setlocale("LC_COLLATE", "C"))
suppressPackageStartupMessages({
  library(metafor)
  library(metadat)
  library(jsonlite)
})

plain <- function(d, keep = names(d)) {
  d <- as.data.frame(d)[keep]
  d[] <- lapply(d, function(x) if (is.factor(x)) as.character(x) else if (is.logical(x)) as.integer(x) else as.vector(x))
  attributes(d) <- attributes(d)[c("names", "class", "row.names")]
  d
}
full <- function(frame, keep) frame[complete.cases(frame[keep]), , drop = FALSE]
# V with correlation rho between the effects of one cluster
alike <- function(vi, cluster, rho) {
  V <- outer(sqrt(vi), sqrt(vi)) * rho * outer(as.character(cluster), as.character(cluster), "==")
  diag(V) <- vi
  V
}
# Grafen's branch lengths: the height of a node is its number of tips less one, on the scale of the root's
grafen <- function(tree) {
  tips <- length(tree$tip.label)
  below <- function(node) {
    if (node <= tips) return(node)
    unlist(lapply(tree$edge[tree$edge[, 1] == node, 2], below))
  }
  R <- diag(tips)
  root <- tips - 1
  for (node in sort(unique(tree$edge[, 1]))) {
    under <- below(node)
    shared <- 1 - (length(under) - 1) / root
    inside <- lapply(tree$edge[tree$edge[, 1] == node, 2], below)
    for (a in seq_along(inside)) for (b in seq_along(inside)) if (a != b) R[inside[[a]], inside[[b]]] <- shared
  }
  dimnames(R) <- list(tree$tip.label, tree$tip.label)
  R
}

sets <- list()

d <- plain(dat.konstantopoulos2011)
d$year_c <- d$year - mean(d$year)
sets$konstantopoulos2011 <- list(frame = d, source = "metadat dat.konstantopoulos2011; year_c = year - mean(year)")

d <- plain(dat.berkey1998)
d$year_c <- d$year - 1983
sets$berkey1998 <- list(frame = d, source = "metadat dat.berkey1998; V from v1i and v2i; year_c = year - 1983",
                        V = bldiag(lapply(split(d[c("v1i", "v2i")], d$trial), as.matrix)))

d <- plain(dat.assink2016)
d$year_c <- d$year - mean(d$year)
sets$assink2016 <- list(frame = d, source = "metadat dat.assink2016; year_c = year - mean(year)")
sets$assink2016_V <- list(frame = d, V = alike(d$vi, d$study, 0.6),
                          source = "metadat dat.assink2016, correlation 0.6 within studies")

d <- plain(escalc("OR", ai = waward, n1i = wtotal, ci = maward, n2i = mtotal, data = dat.bornmann2007))
d$year_c <- d$year - mean(d$year)
d <- full(d, c("yi", "vi", "type", "country"))
sets$bornmann2007 <- list(frame = d, source = "metadat dat.bornmann2007; log odds ratios (women against men)")

d <- plain(escalc("ZCOR", ri = ri, ni = ni, data = dat.crede2010))
d$row <- seq_len(nrow(d))
d$year_c <- d$year - mean(d$year)
sets$crede2010 <- list(frame = d[c("studyid", "sampleid", "row", "criterion", "year_c", "ni", "yi", "vi")],
                       source = "metadat dat.crede2010; Fisher z")

w <- plain(dat.ishak2007)
d <- do.call(rbind, lapply(1:4, function(t) data.frame(study = w$study, time = t, yi = w[[paste0("y", t, "i")]],
                                                       vi = w[[paste0("v", t, "i")]], mdur = w$mdur, mbase = w$mbase)))
d <- d[order(d$study, d$time, method = "radix"), ]
d <- d[!is.na(d$yi), ]
d$months <- c(3, 6, 12, 18)[d$time]
d$row <- seq_len(nrow(d))
V <- outer(sqrt(d$vi), sqrt(d$vi)) * 0.97^abs(outer(d$time, d$time, "-")) * outer(d$study, d$study, "==")
sets$ishak2007 <- list(frame = d, V = V,
                       source = "metadat dat.ishak2007, long; V autoregressive over time with 0.97; months 3, 6, 12, 18 (the last for 12+)")

d <- plain(dat.fine1993)
long <- NULL
V <- list()
for (s in seq_len(nrow(d))) {
  e <- as.numeric(d[s, paste0("e", 1:4, "i")])
  c <- as.numeric(d[s, paste0("c", 1:4, "i")])
  o <- escalc("OR", ai = e, n1i = rep(d$nei[s], 4), ci = c, n2i = rep(d$nci[s], 4))
  v <- diag(as.numeric(o$vi), 4)
  for (a in 1:3) for (b in (a + 1):4) {
    v[a, b] <- v[b, a] <- d$nei[s] / (e[a] * (d$nei[s] - e[b])) + d$nci[s] / (c[a] * (d$nci[s] - c[b]))
  }
  here_now <- which(!is.na(o$yi))
  long <- rbind(long, data.frame(study = d$study[s], time = here_now, yi = as.numeric(o$yi)[here_now],
                                 vi = as.numeric(o$vi)[here_now]))
  v <- v[here_now, here_now, drop = FALSE]
  if (length(here_now) == 4) {
    parts <- eigen(v, symmetric = TRUE)
    if (any(parts$values <= 0.08)) v <- parts$vectors %*% diag(parts$values + 0.08) %*% t(parts$vectors)
  }
  V[[s]] <- (v + t(v)) / 2
}
long$vi <- diag(bldiag(V))
long$row <- seq_len(nrow(long))
sets$fine1993 <- list(frame = long, V = bldiag(V),
                      source = "metadat dat.fine1993: log odds ratios of death at 4 times, V as its help page (eigenvalues <= .08 in a study: .08 added to all)")

d <- plain(dat.kalaian1996)
d$loghrs <- log(d$hrs) - mean(log(d$hrs), na.rm = TRUE)
sets$kalaian1996 <- list(frame = full(d, "loghrs")[c("id", "study", "outcome", "yi", "vi", "loghrs", "ets", "type")],
                         source = "metadat dat.kalaian1996 with hrs; correlation 0.66 of outcomes; loghrs = log(hrs) - mean")
sets$kalaian1996$V <- with(sets$kalaian1996$frame, alike(vi, study, 0.66))

sets$begg1989 <- list(frame = transform(plain(dat.begg1989), arms = paste0("a", arms)), source = "metadat dat.begg1989")

d <- plain(dat.knapp2017)
d$task_diff <- unlist(lapply(split(d, d$study), function(x) {
  b <- as.integer(factor(x$difficulty))
  b[is.na(b)] <- 1
  paste0(as.integer(factor(x$task)), ".", b)
}))
R <- matrix(0.4, 8, 8)
R[5:8, 1:4] <- R[1:4, 5:8] <- 0.28
diag(R[1:4, 5:8]) <- 0.7
diag(R[5:8, 1:4]) <- 0.7
diag(R) <- 1
dimnames(R) <- list(paste0(rep(1:2, each = 4), ".", 1:4), paste0(rep(1:2, each = 4), ".", 1:4))
V <- vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc, obs = task_diff, rho = R, data = d)
keep <- c("study", "comp", "group1", "group2", "n_sz", "n_hc", "task_diff", "difficulty", "yi", "vi")
sets$knapp2017 <- list(frame = d[keep], V = V, source = "metadat dat.knapp2017, V by vcalc as on its help page")
has <- !is.na(d$difficulty)
sets$knapp2017_difficulty <- list(frame = d[has, keep], V = V[has, has],
                                  source = "the rows of knapp2017 with a difficulty")

d <- plain(dat.mccurdy2020)[c("article", "experiment", "sample", "id", "pairing", "yi", "vi", "condition")]
d <- d[d$article %in% unique(d$article)[cumsum(table(factor(d$article, unique(d$article)))) <= 260], ]
sets$mccurdy2020 <- list(frame = d, source = "metadat dat.mccurdy2020: the first articles, up to 260 rows")

d <- plain(escalc("ZCOR", ri = ri, ni = ni, data = dat.lim2014$o_o_unadj))
d$species_phy <- d$species
d$esid <- seq_len(nrow(d))
R <- grafen(dat.lim2014$o_o_unadj_tree)
used <- sort(unique(d$species), method = "radix")
sets$lim2014 <- list(frame = d[c("article", "species", "species_phy", "esid", "environment", "yi", "vi")],
                     R = list(species_phy = R[used, used]),
                     source = "metadat dat.lim2014 o_o_unadj, Fisher z; correlation from the tree with Grafen's branch lengths")

d <- plain(escalc("MN", mi = mi, sdi = sdi, ni = ni, data = dat.senn2013))
d$treatment <- ifelse(d$treatment == "placebo", "aplacebo", d$treatment)
sets$senn2013 <- list(frame = d[c("study", "treatment", "yi", "vi")],
                      source = "metadat dat.senn2013, means of the arms; placebo is spelled aplacebo, so that it is the reference")

d <- plain(escalc("PLO", xi = xi, ni = ni, add = 1 / 2, to = "all", data = dat.hasselblad1998))
d$trt <- c(no_contact = "a_no_contact", self_help = "b_self_help", ind_counseling = "c_individual",
           grp_counseling = "d_group")[d$trt]
d$study <- sprintf("s%02d", d$study)
sets$hasselblad1998 <- list(frame = d[c("id", "study", "trt", "xi", "ni", "yi", "vi")],
                            source = "metadat dat.hasselblad1998, log odds of the arms, 1/2 added to all cells")

w <- to.wide(dat.hasselblad1998, study = "study", grp = "trt", ref = "no_contact", grpvars = 6:7)
w <- escalc("OR", ai = xi.1, n1i = ni.1, ci = xi.2, n2i = ni.2, add = 1 / 2, to = "all", data = w)
w <- w[order(w$study), ]
V <- bldiag(lapply(split(w, w$study), function(x) {
  v <- matrix(1 / (x$xi.2[1] + 0.5) + 1 / (x$ni.2[1] - x$xi.2[1] + 0.5), nrow(x), nrow(x))
  diag(v) <- x$vi
  v
}))
d <- plain(w)
for (t in c("self_help", "ind_counseling", "grp_counseling")) d[[t]] <- (d$trt.1 == t) - (d$trt.2 == t)
d$comp <- paste0(d$trt.1, "-", d$trt.2)
sets$hasselblad1998_contrasts <- list(frame = d[c("study", "comp", "self_help", "ind_counseling", "grp_counseling", "yi", "vi")],
                                      V = V, source = "dat.hasselblad1998 as contrasts with a shared reference arm (log odds ratios, 1/2 added)")

d <- escalc("SMD", m1i = mt, m2i = mc, sd1i = sdt, sd2i = sdc, n1i = nt, n2i = nc, data = dat.dagostino1998)
d <- escalc("OR", ai = xt, ci = xc, n1i = nt, n2i = nc, data = d, replace = FALSE, add = 1 / 2, to = "all")
d <- plain(d)[c("study", "drug", "outcome", "yi", "vi")]
d <- d[!is.na(d$yi), ]
d$esid <- ave(d$study, d$study, FUN = seq_along)
sets$dagostino1998 <- list(frame = d, V = alike(d$vi, d$study, 0.7),
                           source = "metadat dat.dagostino1998: standardised mean differences and log odds ratios, correlation 0.7 within studies")

d <- data.frame(study = c(1, 1, 2, 3, 3, 3), trt = c("t1", "t2", "t1", "t1", "t2", "t3"),
                xt = c(100, 150, 15, 40, 80, 50), nt = c(4000, 4000, 400, 1000, 1000, 1000),
                xc = c(40, 40, 10, 150, 150, 150), nc = c(1000, 1000, 200, 2000, 2000, 2000))
gleser <- function(measure, shared) {
  e <- plain(escalc(measure, ai = xt, n1i = nt, ci = xc, n2i = nc, data = d))
  V <- outer(e$study, e$study, "==") * shared
  diag(V) <- e$vi
  list(frame = e, V = V, source = paste("Gleser & Olkin 2009, Table 19.1 (multiple-treatment studies, one control group):", measure))
}
pc <- d$xc / d$nc
sets$gleser2009_RD <- gleser("RD", pc * (1 - pc) / d$nc)
sets$gleser2009_OR <- gleser("OR", 1 / (d$nc * pc * (1 - pc)))
sets$gleser2009_RR <- gleser("RR", (1 - pc) / (d$nc * pc))

d <- plain(dat.tannersmith2016)
d$aget1 <- ave(d$aget1, d$studyid)
d$aget1_c <- d$aget1 - mean(d$aget1)
d$esid <- seq_len(nrow(d))
sets$tannersmith2016 <- list(frame = d[c("studyid", "esid", "yi", "vi", "aget1_c", "propmale", "sexmix")],
                             V = alike(d$vi, d$studyid, 0.8),
                             source = "metadat dat.tannersmith2016; aget1 averaged over the study and centred; correlation 0.8 within studies")

d <- dat.craft2003
got <- rcalc(ri ~ var1 + var2 | study, ni = ni, data = d)
d <- data.frame(study = got$dat$study, pair = as.character(got$dat$var1.var2), yi = as.vector(got$dat$yi), vi = diag(got$V))
V <- as.matrix(got$V)
whole <- !(d$study %in% d$study[is.na(d$yi) | rowSums(is.na(V)) > 0])
sets$craft2003 <- list(frame = d[whole, ], V = V[whole, whole],
                       source = "metadat dat.craft2003, correlations with V by rcalc; studies without a gap")

d <- plain(dat.riley2003)
d$row <- seq_len(nrow(d))
sets$riley2003 <- list(frame = d, V = alike(d$vi, d$study, 0.5),
                       source = "metadat dat.riley2003 (DFS and OS), correlation 0.5 of outcomes")

d <- plain(dat.obrien2003)
d$bmi_c <- d$bmi - ave(d$bmi, d$study)
d <- plain(escalc("PR", xi = cases, ni = total, data = d))
d$yi <- d$yi * 100
d$vi <- d$vi * 100^2
sets$obrien2003 <- list(frame = d[c("study", "grp", "bmi_c", "cases", "total", "yi", "vi")],
                        source = "metadat dat.obrien2003: per cent; bmi centred within studies")

d <- dat.colditz1994
d <- data.frame(trial = rep(d$trial, each = 2), group = rep(c("EXP", "CON"), nrow(d)), ablat_c = rep(d$ablat - 33, each = 2),
                xi = c(rbind(d$tpos, d$cpos)), mi = c(rbind(d$tneg, d$cneg)))
d <- plain(escalc("PLO", xi = xi, mi = mi, data = d))
sets$colditz1994 <- list(frame = d, source = "metadat dat.colditz1994, log odds of the arms, long (van Houwelingen et al. 2002); ablat_c = ablat - 33")

D <- dat.maire2019$dmat * 1
d <- plain(dat.maire2019$dat)
dimnames(D) <- list(d$site_station, d$site_station)
sets$maire2019 <- list(frame = transform(d[c("site", "station", "site_station", "const")], yi = d$s1, vi = d$vars1),
                       D = list(site_station = D), source = "metadat dat.maire2019, s1 and vars1; distances of stations, 10000 between sites")

# points of a van der Corput sequence (bases 2 and 3), effects that change smoothly with the place: no random numbers
corput <- function(i, base) vapply(i, function(n) {
  x <- 0
  f <- 1 / base
  while (n > 0) {
    x <- x + f * (n %% base)
    n <- n %/% base
    f <- f / base
  }
  x
}, 0)
i <- 1:48
d <- data.frame(place = sprintf("p%02d", i), all = "one", region = paste0("r", 1 + (i - 1) %/% 12),
                x = round(10 * corput(i, 2), 4), y = round(10 * corput(i, 3), 4))
d$yi <- round(0.3 + 0.5 * sin(0.7 * d$x) * cos(0.5 * d$y) + 0.25 * (corput(i, 5) - 0.5), 4)
d$vi <- round(0.01 + 0.05 * corput(i, 7), 4)
D <- as.matrix(dist(d[c("x", "y")]))
dimnames(D) <- list(d$place, d$place)
sets$spatial_made <- list(frame = d, D = list(place = D),
                          source = "made here: places from a van der Corput sequence, effects from a smooth function of the place")

suppressPackageStartupMessages({
  library(robumeta)
  library(clubSandwich)
})
data(hierdat, corrdat, oswald2013, oswald2013.ex1, hedgesdat, package = "robumeta", envir = environment())
data(dropoutPrevention, SATcoaching, package = "clubSandwich", envir = environment())

d <- plain(hierdat)
sets$hierdat <- list(frame = transform(d, yi = effectsize, vi = var)[c("studyid", "esid", "yi", "vi", "binge", "sreport", "males", "age", "followup")],
                     source = "robumeta hierdat")
d <- plain(corrdat)
sets$corrdat <- list(frame = transform(d, yi = effectsize, vi = var)[c("studyid", "esid", "yi", "vi", "binge", "followup", "males", "college")],
                     V = alike(d$var, d$studyid, 0.8), source = "robumeta corrdat; V with correlation 0.8 within studies")
d <- plain(oswald2013.ex1)
d$row <- seq_len(nrow(d))
sets$oswald2013_ex1 <- list(frame = transform(d, yi = effect.size, vi = var.eff.size, study = Study, focus = IAT.Focus, cat = Crit.Cat)[c("study", "row", "focus", "cat", "yi", "vi")],
                            source = "robumeta oswald2013.ex1")
d <- plain(oswald2013)
d$vi <- 1 / (d$N - 3)
d$yi <- atanh(d$R)
d$row <- seq_len(nrow(d))
sets$oswald2013 <- list(frame = transform(d, study = Study, focus = IAT.Focus, cat = Crit.Cat, scoring = Scoring)[c("study", "row", "focus", "cat", "scoring", "yi", "vi")],
                        source = "robumeta oswald2013; Fisher z, 1 / (N - 3)")
d <- plain(hedgesdat)
sets$hedgesdat <- list(frame = transform(d, yi = effectsize, vi = vareffsize)[c("study", "k1", "yi", "vi")],
                       source = "robumeta hedgesdat")
d <- plain(dropoutPrevention)
d$row <- seq_len(nrow(d))
d <- transform(d, yi = LOR1, vi = varLOR)
sets$dropoutPrevention <- list(frame = d[c("studyID", "studySample", "row", "yi", "vi", "study_design", "attrition", "group_equivalence",
                                           "adjusted", "outcome", "male_pct", "white_pct", "average_age")],
                               V = alike(d$vi, d$studySample, 0.3),
                               source = "clubSandwich dropoutPrevention; V with correlation 0.3 within samples")
d <- plain(SATcoaching)
d$hrs_c <- d$hrs - mean(d$hrs, na.rm = TRUE)
d <- full(transform(d, yi = d, vi = V), "hrs_c")
sets$SATcoaching <- list(frame = d[c("study", "test", "yi", "vi", "hrs_c", "ETS", "study_type", "nT", "nC")],
                         V = alike(d$vi, d$study, 0.66), source = "clubSandwich SATcoaching with hrs; correlation 0.66 of the tests of a study; hrs_c = hrs - mean")
for (n in names(sets)) rownames(sets[[n]]$frame) <- NULL

# ---- JSON

num <- function(x) I(as.numeric(x))
rows_of <- function(m) lapply(seq_len(nrow(m)), function(i) num(m[i, ]))
blocks_of <- function(V) {
  V <- as.matrix(V)
  n <- nrow(V)
  label <- seq_len(n)
  for (i in seq_len(n)) {
    near <- which(V[i, ] != 0)
    label[label %in% label[near]] <- min(label[near])
  }
  unname(lapply(split(seq_len(n), label), function(r) list(rows = I(r - 1L), V = rows_of(V[r, r, drop = FALSE]))))
}
lower_of <- function(m) list(labels = I(rownames(m)), lower = lapply(seq_len(nrow(m)), function(i) num(m[i, seq_len(i)])))
set_out <- function(s) {
  out <- list(source = s$source, n = nrow(s$frame), columns = lapply(s$frame, I))
  out["V"] <- list(if (is.null(s$V)) NULL else blocks_of(s$V))
  out["R"] <- list(if (is.null(s$R)) NULL else lapply(s$R, lower_of))
  out["D"] <- list(if (is.null(s$D)) NULL else lapply(s$D, lower_of))
  out
}
# every number with as many digits as give back the same double; a plain number of length one stays a scalar
digits_of <- function(x) {
  out <- rep("null", length(x))
  good <- which(is.finite(x))
  short <- sprintf("%.15g", x[good])
  out[good] <- ifelse(as.numeric(short) == x[good], short, sprintf("%.17g", x[good]))
  out
}
exactly <- function(x) {
  if (is.list(x)) return(lapply(x, exactly))
  if (!is.numeric(x)) return(x)
  text <- digits_of(as.vector(x))
  if (length(x) == 1 && !inherits(x, "AsIs")) return(structure(text, class = "json"))
  structure(paste0("[", paste(text, collapse = ", "), "]"), class = "json")
}
write_json <- function(x, file) {
  json <- toJSON(exactly(x), auto_unbox = TRUE, null = "null", na = "null", json_verbatim = TRUE)
  writeLines(gsub("},\"", "},\n\"", json, fixed = TRUE), file)
}
versions <- function(generator) list(generator = generator, r_version = R.version.string, metafor = as.character(packageVersion("metafor")),
                                     metadat = as.character(packageVersion("metadat")), clubSandwich = as.character(packageVersion("clubSandwich")),
                                     robumeta = as.character(packageVersion("robumeta")))
