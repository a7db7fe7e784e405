deeper <- function(x) {
  if (x > 2) {
    stop("learning rate too \"high\"")
  }
  deeper(x + 1)
}

kind <- candle_params$kind
if (kind == "stop") deeper(1)
if (kind == "library") library(surelyNotInstalled)
if (kind == "quit-3") quit(status = 3)
if (kind == "abort") tools::pskill(Sys.getpid(), tools::SIGKILL)
if (kind == "object") surely_not_there + 1
if (kind == "nothing") quit()
if (kind == "warns") warning("careful")
val_to_return <- 1.5
if (kind == "quit-after") quit()
val_to_return
