# Runs an R model script inside a trial's process, and writes what it left to HPO_RESULT_FILE, or why it failed to
# HPO_R_OUTCOME. The script sees `candle_params` and `hyperparams`, and its arguments in commandArgs(TRUE).

local({
  setting <- function(name) Sys.getenv(name)
  told <- new.env()
  told$done <- FALSE

  quoted <- function(text) {
    text <- gsub("([\\\\\"])", "\\\\\\1", enc2utf8(text))
    text <- gsub("[[:cntrl:]]", " ", text)
    paste0("\"", text, "\"")
  }

  # JSON with every digit of a double, and with NaN and Infinity, which are for the reader to judge.
  number <- function(x) {
    if (is.nan(x) || is.na(x)) "NaN" else if (is.infinite(x)) ifelse(x > 0, "Infinity", "-Infinity") else sprintf("%.17g", x)
  }
  encoded <- function(x) {
    if (is.null(x)) return("null")
    if (is.factor(x)) x <- as.character(x)
    if (length(names(x)) > 0 && is.environment(x) == FALSE) {
      fields <- vapply(seq_along(x), function(i) paste0(quoted(names(x)[[i]]), ": ", encoded(x[[i]])), "")
      return(paste0("{", paste(fields, collapse = ", "), "}"))
    }
    if (length(x) == 1 && is.numeric(x)) return(number(as.numeric(x)))
    if (length(x) == 1 && is.logical(x)) return(if (is.na(x)) "NaN" else if (x) "true" else "false")
    if (length(x) == 1 && is.character(x)) return(quoted(x))
    if (is.atomic(x) || is.list(x)) {
      return(paste0("[", paste(vapply(seq_along(x), function(i) encoded(x[[i]]), ""), collapse = ", "), "]"))
    }
    quoted(paste("an object of class", class(x)[[1]]))
  }

  put <- function(text, file) {
    beside <- paste0(file, ".new")
    connection <- file(beside, open = "wb")
    writeLines(text, connection, useBytes = TRUE)
    close(connection)
    invisible(file.rename(beside, file))
  }

  leave <- function(...) {
    if (told$done) return(invisible())
    told$done <- TRUE
    for (name in c("candle_value_to_return", "val_to_return")) {
      if (exists(name, envir = globalenv(), inherits = FALSE)) {
        return(put(encoded(unname_scalar(get(name, envir = globalenv()))), setting("HPO_RESULT_FILE")))
      }
    }
  }
  unname_scalar <- function(x) if (is.atomic(x) && length(x) == 1) unname(x) else x

  fail <- function(kind, detail, where, trace) {
    told$done <- TRUE
    cat(trace, sep = "\n", file = stderr())
    where <- if (is.null(where)) "null" else quoted(where)
    trace <- paste(vapply(trace, function(line) gsub("^\"|\"$", "", quoted(line)), ""), collapse = "\\n")
    put(paste0("{\"failure\": {\"kind\": ", quoted(kind), ", \"detail\": ", quoted(detail), ", \"where\": ", where,
               ", \"traceback\": \"", trace, "\\n\"}}"), setting("HPO_R_OUTCOME"))
    quit(save = "no", status = 0)
  }

  script <- setting("HPO_SCRIPT")
  place <- function(call) {
    ref <- attr(call, "srcref")
    if (is.null(ref)) return(NULL)
    file <- attr(ref, "srcfile")
    if (is.null(file) || !identical(file$filename, script)) NULL else as.integer(ref)[[1]]
  }

  failed <- function(condition, line) {
    calls <- sys.calls()
    found <- NULL
    trace <- character()
    for (i in seq_along(calls)) {
      at <- place(calls[[i]])
      if (is.null(at)) next
      found <- paste0(script, ":", at, if (i > 1) paste(" in", name_of(calls, i)))
      trace <- c(trace, paste0("  ", script, ":", at, ": ", deparse(calls[[i]], nlines = 1)[[1]]))
    }
    if (is.null(found)) found <- paste0(script, ":", line)
    message <- conditionMessage(condition)
    trace <- c(trace, paste("Error:", message))
    if (inherits(condition, "packageNotFoundError")) fail("import", paste("the R package", condition$package), found, trace)
    fail("exception", paste0(class(condition)[[1]], ": ", message), found, trace)
  }
  # The function whose body holds the i-th call: that of the nearest call below it that is the user's.
  name_of <- function(calls, i) {
    for (j in rev(seq_len(i - 1))) {
      if (!is.null(place(calls[[j]]))) return(paste(deparse(calls[[j]][[1]], nlines = 1), collapse = ""))
    }
    "the script"
  }

  if (!requireNamespace("jsonlite", quietly = TRUE)) {
    fail("import", "the R package jsonlite, which hands the hyperparameters over", NULL,
         "Error: the R package jsonlite is not installed")
  }
  params <- jsonlite::fromJSON(setting("HPO_R_PARAMS"))
  assign("candle_params", params, envir = globalenv())
  assign("hyperparams", params, envir = globalenv())
  set.seed(as.integer(setting("HPO_R_SEED")))
  reg.finalizer(told, leave, onexit = TRUE) # quit() after the value was set

  lines <- readLines(setting("HPO_R_SOURCE"), warn = FALSE, encoding = "UTF-8")
  expressions <- tryCatch(
    parse(text = lines, srcfile = srcfilecopy(script, lines, isFile = TRUE), keep.source = TRUE, encoding = "UTF-8"),
    error = function(e) {
      at <- regmatches(conditionMessage(e), regexec(":([0-9]+):[0-9]+:", conditionMessage(e)))[[1]]
      where <- if (length(at) == 2) paste0(script, ":", at[[2]])
      fail("exception", paste0("syntax error: ", strsplit(conditionMessage(e), "\n")[[1]][[1]]), where,
           paste("Error:", conditionMessage(e)))
    }
  )
  references <- attr(expressions, "srcref")
  options(warn = 1, keep.source = TRUE)
  for (i in seq_along(expressions)) {
    line <- as.integer(references[[i]])[[1]]
    withCallingHandlers(
      {
        shown <- withVisible(eval(expressions[[i]], globalenv()))
        if (shown$visible) print(shown$value)
      },
      error = function(e) failed(e, line)
    )
  }
  leave()
})
