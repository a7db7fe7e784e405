kind=$(candle_get_param kind)
case $kind in
    number) candle_value_to_return=-1.5e-3 ;;
    old-name) val_to_return=2 ;;
    nothing) echo "no value" ;;
    text) candle_value_to_return=low ;;
    nan) candle_value_to_return=nan ;;
    exit-0-after) candle_value_to_return=3; exit 0 ;;
    exit-3-after) candle_value_to_return=3; exit 3 ;;
    killed) kill -KILL $$ ;;
    own-trap) trap 'echo tidied' EXIT; candle_value_to_return=4 ;;
    unset) set -u; echo "$surely_not_there"; candle_value_to_return=5 ;;
    failing-line) false; candle_value_to_return=6 ;;
    unknown) candle_get_param surely_not_there; candle_value_to_return=7 ;;
    child) candle_value_to_return=$(bash -c 'candle_get_param number') ;;
    daemon) setsid sleep 987 & candle_value_to_return=8 ;;
    where) echo "$0 $*"; candle_value_to_return=9 ;;
    text-param) candle_get_param text; candle_get_param list; candle_get_param flag; candle_value_to_return=10 ;;
    reports) for i in 1 2 3; do echo "$i 0.$i" >> "$HPO_REPORT_FILE"; done; candle_value_to_return=11 ;;
esac
