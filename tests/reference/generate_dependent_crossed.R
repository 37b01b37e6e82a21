# Pinned answers of sparse rma.mv for crossed random effects, larger than the public tables: dependent/crossed.json.
#
#   Rscript generate_dependent_crossed.R        # from any folder, a minute and a half
#
# The tables are made here by R's own generator of random numbers with a fixed seed and rounded; they are kept in the
# file. Each model is fitted by rma.mv(sparse = TRUE) with nlminb, as tightly as it ends without an error. From there
# the variances are climbed by Fisher scoring with the exact score of the dense likelihood, written from its definition,
# and rma.mv is asked once more with the variances held at the highest point: all numbers of an entry come from that
# call; `run` is the log-likelihood that its own optimiser reached, `climb` that of the dense likelihood, `score` the
# largest slope that is left. Predicted effects are those of REML, in 12 digits.

options(warn = 1, stringsAsFactors = FALSE, digits = 15)
argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

made <- function(seed, n, papers, labs, teams) {
  set.seed(seed)
  level <- function(count) sample.int(count, n, replace = TRUE)
  d <- data.frame(paper = level(papers), lab = level(labs), team = level(teams), row = seq_len(n))
  d$x <- round(rnorm(n), 4)
  d$vi <- round(runif(n, 0.02, 0.2), 4)
  of <- function(label, sd) rnorm(max(label), 0, sd)[label]
  true <- 0.3 + 0.1 * d$x + of(d$paper, 0.3) + of(d$lab, 0.35) + of(d$team, 0.25)
  d$yi <- round(true + rnorm(n, 0, sqrt(d$vi + 0.04)), 4)
  for (name in c("paper", "lab", "team")) d[[name]] <- paste0(substr(name, 1, 1), sprintf("%03d", d[[name]]))
  d
}
tables <- list(wide = made(8, 400, 130, 90, 12), small = made(9, 80, 20, 15, 7))
models <- list(
  list(key = "two", table = "wide", mods = ~ 1, groups = c("paper", "lab")),
  list(key = "two and rows", table = "wide", mods = ~ x, groups = c("paper", "lab", "row")),
  list(key = "three", table = "small", mods = ~ 1, groups = c("paper", "lab", "team")))

likelihood <- function(s, d, X, K, reml) {
  M <- diag(d$vi)
  for (j in seq_along(K)) M <- M + s[j] * K[[j]]
  U <- chol(M)
  W <- chol2inv(U)
  A <- crossprod(X, W %*% X)
  P <- W - W %*% X %*% solve(A, t(X) %*% W)
  Py <- as.numeric(P %*% d$yi)
  Q <- if (reml) P else W
  value <- -sum(log(diag(U))) - sum(d$yi * Py) / 2 - (nrow(d) - reml * ncol(X)) / 2 * log(2 * pi)
  if (reml) value <- value + as.numeric(determinant(crossprod(X))$modulus - determinant(A)$modulus) / 2
  QK <- lapply(K, function(k) Q %*% k)
  score <- sapply(seq_along(K), function(j) (sum(Py * (K[[j]] %*% Py)) - sum(diag(QK[[j]]))) / 2)
  fisher <- sapply(QK, function(a) sapply(QK, function(b) sum(a * t(b)) / 2))
  list(value = value, score = score, fisher = fisher)
}
climbed <- function(s, d, X, K, reml) {
  at <- likelihood(s, d, X, K, reml)
  for (round in 1:60) {
    free <- s > 1e-9 | at$score > 0
    step <- numeric(length(s))
    step[free] <- solve(at$fisher[free, free, drop = FALSE], at$score[free])
    t <- 1
    repeat {
      new <- pmax(s + t * step, 0)
      then <- likelihood(new, d, X, K, reml)
      if (then$value >= at$value - 1e-11 || t < 1e-6) break
      t <- t / 2
    }
    moved <- max(abs(new - s))
    s <- new
    at <- then
    if (moved < 1e-13) break
  }
  list(s = s, value = at$value, score = max(abs(at$score[s > 0])))
}
fitted <- function(model, method) {
  d <- tables[[model$table]]
  random <- lapply(model$groups, function(g) as.formula(paste("~ 1 |", g)))
  ask <- function(...) suppressWarnings(
    rma.mv(yi, vi, mods = model$mods, random = random, data = d, method = method, sparse = TRUE, ...))
  # nlminb may end as false convergence at the top, which rma.mv takes for an error: then with fewer digits
  run <- NULL
  for (tol in c(1e-14, 1e-12, 1e-10)) {
    control <- list(optimizer = "nlminb", rel.tol = tol, x.tol = tol, iter.max = 1000, eval.max = 1000)
    if (is.null(run)) run <- tryCatch(ask(control = control), error = function(e) NULL)
  }
  K <- lapply(model$groups, function(g) outer(d[[g]], d[[g]], "==") * 1)
  X <- model.matrix(model$mods, d)
  top <- climbed(run$sigma2, d, X, K, method == "REML")
  fit <- ask(sigma2 = top$s)
  told <- c(logLik(fit) - logLik(run), logLik(fit) - top$value, top$score)
  cat(model$key, method, format(top$s), told, "\n", file = stderr())
  effects <- if (method == "REML") {
    lapply(setNames(ranef(fit), model$groups), function(e) {
      list(level = rownames(e), estimate = signif(e$intrcpt, 12), se = signif(e$se, 12))
    })
  }
  found <- list(run = as.numeric(logLik(run)), climb = top$value, score = top$score, loglik = as.numeric(logLik(fit)),
                sigma2 = top$s, beta = as.numeric(fit$beta), se = fit$se, vb = fit$vb, QE = fit$QE)
  c(found, if (!is.null(effects)) list(ranef = effects))
}
entries <- lapply(models, function(model) {
  list(table = model$table, mods = deparse(model$mods), groups = model$groups,
       fits = lapply(c(REML = "REML", ML = "ML"), function(method) fitted(model, method)))
})
names(entries) <- vapply(models, `[[`, "", "key")
meta <- list(generator = "generate_dependent_crossed.R", R = as.character(getRversion()),
             metafor = as.character(packageVersion("metafor")))
kept <- lapply(tables, function(d) as.list(d[names(d) != "row"]))
json <- toJSON(list(meta = meta, tables = kept, models = entries), digits = I(17), auto_unbox = TRUE)
writeLines(json, file.path(here, "dependent", "crossed.json"))
