# Every compression there and back with kcat: keys, headers, offsets, times, and a topic made by asking.
set -eu
bootstrap=$1

for codec in none gzip snappy lz4 zstd; do
    for n in 1 2 3; do
        echo "key-$codec:$codec record $n, some of it repeated: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    done | kcat -b "$bootstrap" -P -t from-kcat -p 0 -K : -z "$codec" -H "codec=$codec" -X linger.ms=50
done
kcat -b "$bootstrap" -C -t from-kcat -o beginning -e -q -f '%o %k [%h] %s\n'
echo "from offset 13:"
kcat -b "$bootstrap" -C -t from-kcat -p 0 -o 13 -e -q -f '%o %k\n'
echo "the last two:"
kcat -b "$bootstrap" -C -t from-kcat -p 0 -o -2 -e -q -f '%o\n'
echo "the first at or after time 1:"
kcat -b "$bootstrap" -Q -t from-kcat:0:1
echo "a member of a group, then the next:"
kcat -b "$bootstrap" -c 5 -q -X auto.offset.reset=earliest -f '%o\n' -G kcat-group from-kcat 2>/dev/null
kcat -b "$bootstrap" -c 2 -q -X auto.offset.reset=earliest -f '%o\n' -G kcat-group from-kcat 2>/dev/null
echo "what there is:"
kcat -b "$bootstrap" -L -t from-kcat | sed "s/$bootstrap/HERE/"
