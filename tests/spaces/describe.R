# Prints, as JSON, what ParamHelpers itself makes of each file that is given: for every parameter its type, bounds,
# values and default, and for some drawn points the transformed values and which parameters are active.
suppressMessages(library(ParamHelpers))
suppressMessages(library(jsonlite))

# Numbers as text, because jsonlite writes 15 digits of the 17 that a double may need.
plain <- function(value) {
  if (is.null(value)) NULL
  else if (is.list(value)) lapply(unname(value), plain)
  else if (is.numeric(value)) lapply(unname(value), function(v) list(number = unbox(sprintf("%.17g", v))))
  else unname(value)
}

describe <- function(par) {
  list(
    name = unbox(par$id), type = unbox(par$type), len = unbox(par$len),
    lower = plain(par$lower), upper = plain(par$upper),
    values = if (is.null(par$values)) NULL else lapply(unname(par$values), plain),
    has_default = unbox(isTRUE(par$has.default)), default = plain(par$default),
    trafo = unbox(!is.null(par$trafo)), requires = unbox(!is.null(par$requires))
  )
}

draw <- function(set) {
  raw <- lapply(set$pars, sampleValue)
  values <- Map(trafoValue, set$pars, raw)
  active <- list()
  seen <- values
  for (name in names(set$pars)) {  # in the files, conditions read parameters that stand before
    ok <- is.null(set$pars[[name]]$requires) || ParamHelpers:::requiresOk(set$pars[[name]], seen)
    if (!ok) seen[[name]] <- NA
    active[[name]] <- unbox(ok)
  }
  list(raw = lapply(raw, plain), values = lapply(values, plain), active = active)
}

described <- lapply(commandArgs(trailingOnly = TRUE), function(file) {
  set.seed(1)
  scope <- new.env()
  suppressMessages(source(file, local = scope, encoding = "UTF-8"))
  set <- if (exists("param.set", scope, inherits = FALSE)) scope$param.set else scope$ps
  list(pars = lapply(unname(set$pars), describe), draws = lapply(1:40, function(i) draw(set)))
})
cat(toJSON(described, null = "null", na = "null"))
