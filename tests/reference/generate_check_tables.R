# Public data sets of the R package metadat as small tables for the tests of the check.
#
#   Rscript generate_check_tables.R      # from any folder
#
# writes ../checks/public/NAME.csv, one table per data set, with columns named as metafor names the arguments of
# escalc(). Every change of a name, of a layout or of a unit stands below; numbers are written with up to 15
# significant digits and never changed otherwise. Blank cells are NA. A second run gives the same bytes.
#
# Versions used: R 4.2.2, metadat 1.2.0.

options(warn = 2, stringsAsFactors = FALSE)
suppressPackageStartupMessages(library(metadat))

argv <- commandArgs(FALSE)
self <- sub("^--file=", "", argv[grep("^--file=", argv)])
here <- if (length(self)) dirname(normalizePath(self[1])) else getwd()
target <- file.path(here, "..", "checks", "public")
dir.create(target, showWarnings = FALSE, recursive = TRUE)

cell <- function(x) {
  if (is.numeric(x)) return(ifelse(is.na(x), "", trimws(formatC(x, digits = 15, format = "fg", width = 1))))
  x <- enc2utf8(as.character(x))
  ifelse(is.na(x), "", ifelse(grepl("[\",\r\n]", x), paste0("\"", gsub("\"", "\"\"", gsub("[\r\n]+", " ", x)), "\""), x))
}

write <- function(name, table) {
  lines <- c(paste(names(table), collapse = ","), do.call(paste, c(lapply(table, cell), sep = ",")))
  out <- file(file.path(target, paste0(name, ".csv")), "wb")
  writeLines(lines, out, sep = "\n", useBytes = TRUE)
  close(out)
}

# One row per outcome, where a data set has the outcomes side by side.
long <- function(names, make) do.call(rbind, lapply(names, make))

# Every pair of arms of a study with different treatments as one row, where a data set has one arm per row.
pairs <- function(study, treatment, columns) {
  table <- do.call(rbind, lapply(unique(study), function(label) {
    rows <- which(study == label)
    if (length(rows) < 2) return(NULL)
    both <- combn(rows, 2)
    both <- both[, treatment[both[1, ]] != treatment[both[2, ]], drop = FALSE]
    if (!ncol(both)) return(NULL)
    one <- columns[both[1, ], , drop = FALSE]
    two <- columns[both[2, ], , drop = FALSE]
    names(one) <- c(ai = "ai", n = "n1i", m = "m1i", sd = "sd1i")[names(columns)]
    names(two) <- c(ai = "ci", n = "n2i", m = "m2i", sd = "sd2i")[names(columns)]
    data.frame(study = label, treatment_1 = treatment[both[1, ]], treatment_2 = treatment[both[2, ]], one, two)
  }))
  table
}

# Every pair of up to three arms that stand side by side, with a function from the number of an arm to its columns.
side_by_side <- function(study, treatment, arm) {
  table <- do.call(rbind, lapply(list(c(1, 2), c(1, 3), c(2, 3)), function(two) {
    found <- data.frame(study = study, treatment_1 = treatment(two[1]), treatment_2 = treatment(two[2]))
    one <- arm(two[1])
    other <- arm(two[2])
    names(other) <- c(ai = "ci", n1i = "n2i", m1i = "m2i", sd1i = "sd2i")[names(other)]
    cbind(found, one, other)
  }))
  table <- table[!is.na(table$treatment_2) & table$treatment_2 != "" & !is.na(table$n2i), ]
  table[order(match(table$study, unique(study))), ]
}

# ---------------------------------------------------------------- counts in two groups

with(dat.bcg, write("bcg", data.frame(study = author, year, ai = tpos, bi = tneg, ci = cpos, di = cneg)))
with(dat.anand1999, write("anand1999", data.frame(study, year, stratum = intensity, ai, n1i, ci, n2i)))
with(dat.axfors2021, write("axfors2021", data.frame(
  study = id, registry = id, treatment_1 = hcq_cq, treatment_2 = Control, ai = hcq_arm_event, n1i = hcq_arm_total,
  ci = control_arm_event, n2i = control_arm_total)))
with(dat.bornmann2007, write("bornmann2007", data.frame(
  study, year, stratum = discipline, ai = waward, n1i = wtotal, ci = maward, n2i = mtotal)))
with(dat.bourassa1996, write("bourassa1996", data.frame(
  study = paste(author, year), year, stratum = sex, ai = lh.le, bi = lh.re, ci = rh.le, di = rh.re)))
write("cannon2006", long(1:6, function(i) with(dat.cannon2006, data.frame(
  study = trial, outcome = c("coronary death or infarction", "any cardiovascular event", "cardiovascular death",
                             "non-cardiovascular death", "all deaths", "stroke")[i],
  ai = get(paste0("ep", i, "t")), n1i = nt, ci = get(paste0("ep", i, "c")), n2i = nc))))
write("collins1985a", long(c(b = "rebleeding", o = "operation", d = "death"), function(word) {
  stem <- c(rebleeding = "b", operation = "o", death = "d")[[word]]
  with(dat.collins1985a, data.frame(
    study = trial, year, outcome = word, ai = get(paste0(stem, ".xti")), n1i = nti, ci = get(paste0(stem, ".xci")),
    n2i = nci))
}))
write("collins1985b", long(c("pre-eclampsia", "perinatal death", "stillbirth", "neonatal death"), function(word) {
  stem <- c(`pre-eclampsia` = "pre", `perinatal death` = "ped", stillbirth = "stb", `neonatal death` = "ned")[[word]]
  n <- if (stem == "pre") "pre" else "fup"
  with(dat.collins1985b, data.frame(
    study = author, year, outcome = word, ai = get(paste0(stem, ".xti")), n1i = get(paste0(n, ".nti")),
    ci = get(paste0(stem, ".xci")), n2i = get(paste0(n, ".nci"))))
}))
with(dat.dagostino1998, write("dagostino1998_counts", data.frame(
  study, outcome, arm_1 = drug, ai = xt, n1i = nt, ci = xc, n2i = nc)))
with(dat.damico2009, write("damico2009", data.frame(study, year, ai = xt, n1i = nt, ci = xc, n2i = nc)))
with(dat.dorn2007, write("dorn2007", data.frame(study, year, ai = x.a, n1i = n.a, ci = x.p, n2i = n.p)))
with(dat.egger2001, write("egger2001", data.frame(study, year, ai, n1i, ci, n2i)))
write("fine1993", long(1:4, function(i) with(dat.fine1993, data.frame(
  study, outcome = "survival", weeks = 26 * i, ai = get(paste0("e", i, "i")), n1i = nei,
  ci = get(paste0("c", i, "i")), n2i = nci))))
with(dat.gibson2002, write("gibson2002_counts", data.frame(study = author, year, ai, bi, ci, di)))
with(dat.graves2010, write("graves2010", data.frame(study, ai, n1i, ci, n2i)))
with(dat.hahn2001, write("hahn2001", data.frame(study, ai, n1i, ci, n2i)))
with(dat.hartmannboyce2018, write("hartmannboyce2018", data.frame(
  study, arm_1 = treatment, ai = x.nrt, n1i = n.nrt, ci = x.ctrl, n2i = n.ctrl)))
with(dat.hine1989, write("hine1989", data.frame(study = source, ai, n1i, ci, n2i)))
with(dat.landenberger2005, write("landenberger2005", data.frame(
  study, design, ai = n.cbt.rec, bi = n.cbt.non, ci = n.ctrl.rec, di = n.ctrl.non)))
with(dat.laopaiboon2015, write("laopaiboon2015", data.frame(study = author, year, ai, n1i, ci, n2i)))
with(dat.lau1992, write("lau1992", data.frame(study = trial, year, ai, n1i, ci, n2i)))
with(dat.lee2004, write("lee2004", data.frame(study, year, ai, n1i, ci, n2i)))
with(dat.li2007, write("li2007", data.frame(study, year, ai, n1i, ci, n2i)))
with(dat.linde2005, write("linde2005", data.frame(study, year, stratum = group, ai, n1i, ci, n2i)))
write("linde2015", with(dat.linde2015, side_by_side(
  paste(author, year), function(i) get(paste0("treatment", i)),
  function(i) data.frame(ai = get(paste0("resp", i)), n1i = get(paste0("n", i))))))
with(dat.nielweise2007, write("nielweise2007", data.frame(study = author, year, ai, n1i, ci, n2i)))
write("pagliaro1992", with(dat.pagliaro1992, pairs(study, trt, data.frame(ai = xi, n = ni))))
write("hasselblad1998", with(dat.hasselblad1998, pairs(authors, trt, data.frame(ai = xi, n = ni))))
write("gurusamy2011", with(dat.gurusamy2011, pairs(study, treatment, data.frame(ai = death, n = n))))
write("baker2009", with(dat.baker2009, pairs(paste(study, year), treatment, data.frame(ai = exac, n = total))))
write("dogliotti2014", with(dat.dogliotti2014, pairs(study, treatment, data.frame(ai = stroke, n = total))))
with(dat.vanhowe1999, write("vanhowe1999", data.frame(
  study, stratum = category, ai = non.pos, bi = non.neg, ci = cir.pos, di = cir.neg)))
with(dat.viechtbauer2021, write("viechtbauer2021", data.frame(study = trial, ai = xTi, n1i = nTi, ci = xCi, n2i = nCi)))
with(dat.yusuf1985, write("yusuf1985", data.frame(study = trial, outcome = paste("table", table), ai, n1i, ci, n2i)))
with(dat.kearon1998, write("kearon1998", data.frame(
  study, year, stratum = patients, ai = tp, n1i = np, ci = nn - tn, n2i = nn)))

# ---------------------------------------------------------------- events over time

with(dat.hart1999, write("hart1999", data.frame(study, year, x1i, n1i, t1i, x2i, n2i, t2i)))
with(dat.nielweise2008, write("nielweise2008", data.frame(study = authors, year, x1i, t1i, x2i, t2i)))

# ---------------------------------------------------------------- means of two groups

with(dat.besson2016, write("besson2016", data.frame(
  study = study_ID, outcome = response_test, instrument = measure, weeks = round(response_age_dPP / 7, 1),
  stratum = sex, arm_1 = animal_ID, arm_2 = con_ID, n1i = exp_n, m1i = exp_mean, se1i = exp_se,
  n2i = con_n, m2i = con_mean, se2i = con_se)))
with(dat.curtis1998, write("curtis1998", data.frame(
  study = paste("paper", paper), treatment_1 = paste("CO2", "elevated"), treatment_2 = paste("CO2", "ambient"),
  stratum = trimws(paste(genus, species)), n1i, m1i, sd1i, n2i, m2i, sd2i)))
with(subset(dat.dagostino1998, !is.na(mt)), write("dagostino1998", data.frame(
  study, outcome, instrument = ifelse(grepl("^rn", outcome), scale.rn, scale.sn), score_type = "change",
  higher_is_better = "true",
  arm_1 = drug, n1i = nt, m1i = mt, sd1i = sdt, n2i = nc, m2i = mc, sd2i = sdc)))
write("franchini2012", with(dat.franchini2012, side_by_side(
  Study, function(i) get(paste0("Treatment", i)),
  function(i) data.frame(n1i = get(paste0("n", i)), m1i = get(paste0("y", i)), sd1i = get(paste0("sd", i))))))
with(dat.gibson2002, write("gibson2002", data.frame(
  study = author, year, outcome = "days off work or school", n1i, m1i, sd1i, n2i, m2i, sd2i)))
# Two rows have factor scores beside the ends of the items' scale, which are not those of such scores: left blank.
with(within(dat.lehmann2018, {
  factor <- grepl("extracted factor", DV_Type)
  DV_ScaleBottom[factor] <- NA
  DV_ScaleTop[factor] <- NA
}), write("lehmann2018", data.frame(
  study = Short_Title, stratum = Gender, instrument = DV_Type, higher_is_better = "true", design = Design, scale_low = DV_ScaleBottom,
  scale_high = DV_ScaleTop, n1i = Red_N, m1i = Red_M, sd1i = Red_SD, n2i = Control_N, m2i = Control_M,
  sd2i = Control_SD)))
with(dat.michael2013, write("michael2013", data.frame(
  study = Study, n1i = Brain_n, m1i = Brain_m, sd1i = Brain_s, n2i = No_brain_n, m2i = No_brain_m,
  sd2i = No_brain_s)))
with(dat.normand1999, write("normand1999", data.frame(study = source, n1i, m1i, sd1i, n2i, m2i, sd2i)))
senn <- with(dat.senn2013, pairs(study, treatment, data.frame(n = ni, m = mi, sd = sdi)))
senn$score_type <- c(raw = "final", change = "change")[dat.senn2013$comment[match(senn$study, dat.senn2013$study)]]
write("senn2013", senn)
write("stowe2010", with(dat.stowe2010, side_by_side(
  study, function(i) get(paste0("t", i)),
  function(i) data.frame(n1i = get(paste0("n", i)), m1i = get(paste0("y", i)), sd1i = get(paste0("sd", i))))))

# ---------------------------------------------------------------- correlations and coefficients

with(dat.aloe2013, write("aloe2013", data.frame(study, ni = n, ti = tval, mi = preds, r2i = R2)))
with(dat.bonett2010, write("bonett2010", data.frame(study = source, ni, ai, mi)))
with(dat.cohen1981, write("cohen1981", data.frame(study, stratum = sample, ni, ri)))
with(dat.craft2003, write("craft2003", data.frame(study, outcome = paste(var1, var2), ni, ri)))
with(dat.crede2010, write("crede2010", data.frame(study = studyid, year, outcome = criterion, ni, ri)))
with(dat.mcdaniel1994, write("mcdaniel1994", data.frame(study, ni, ri)))
with(dat.molloy2014, write("molloy2014", data.frame(study = authors, year, ni, ri)))
with(dat.nakagawa2007, write("nakagawa2007", data.frame(study = StudyID, ni = SampleSize, ri = Correlation)))
with(dat.white2020, write("white2020", data.frame(study = study_id, outcome = quality_measure, stratum = sex, ni = n, ri = r)))

# ---------------------------------------------------------------- proportions

with(dat.debruin2009, write("debruin2009", data.frame(study = author, year, xi, ni)))
with(dat.hannum2020, write("hannum2020", data.frame(study = authorName, stratum = objectivity, xi, ni)))
with(dat.pritz1997, write("pritz1997", data.frame(study = authors, xi, ni)))

# ---------------------------------------------------------------- effects

with(dat.assink2016, write("assink2016", data.frame(study, year, yi, vi)))
with(dat.bakdash2021, write("bakdash2021", data.frame(study = SampleID, outcome = SA.measure.type, year = Year, yi = es.z, vi = vi.z)))
with(dat.bangertdrowns2004, write("bangertdrowns2004", data.frame(study = author, year, ni, yi, vi)))
with(dat.baskerville2012, write("baskerville2012", data.frame(study = author, year, yi = smd, sei = se)))
with(dat.begg1989, write("begg1989", data.frame(study, stratum = trt, yi, sei)))
with(dat.berkey1998, write("berkey1998", data.frame(study = author, year, outcome, ni, yi, vi)))
with(dat.hackshaw1998, write("hackshaw1998", data.frame(
  study = author, year, stratum = country, measure = "OR", effect = or, ci_low = or.lb, ci_high = or.ub, yi, vi)))
write("ishak2007", na.omit(long(1:4, function(i) with(dat.ishak2007, data.frame(
  study, weeks = c(13, 26, 52, 104)[i], yi = get(paste0("y", i, "i")), vi = get(paste0("v", i, "i")))))))
with(dat.kalaian1996, write("kalaian1996", data.frame(study, year, outcome, n1i, n2i, yi, vi)))
with(dat.knapp2017, write("knapp2017", data.frame(
  study = authors, year, instrument = task, higher_is_better = "true", arm_1 = group1, arm_2 = group2, n1i = n_sz, n2i = n_hc, yi, vi)))
with(dat.konstantopoulos2011, write("konstantopoulos2011", data.frame(study = paste("school", district, school), year, yi, vi)))
with(dat.linde2016, write("linde2016", data.frame(study = id, treatment_1 = treat1, treatment_2 = treat2, yi = lnOR, sei = selnOR)))
with(dat.lopez2019, write("lopez2019", data.frame(study, instrument = scale, higher_is_better = "false", arm_1 = treatment, ni = n, yi = diff, sei = se)))
with(dat.mccurdy2020, write("mccurdy2020", data.frame(study = paste(article, experiment), stratum = condition, ni, yi, vi)))
with(dat.pignon2000, write("pignon2000", data.frame(study = trial, yi = OmE / V, vi = 1 / V)))
with(dat.raudenbush1985, write("raudenbush1985", data.frame(study = author, year, n1i, n2i, yi, vi)))
with(dat.riley2003, write("riley2003", data.frame(study, outcome, yi, vi)))
with(dat.tannersmith2016, write("tannersmith2016", data.frame(study = studyid, yi, vi)))
