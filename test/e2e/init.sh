#!/bin/busybox sh
# The only program of a guest: does the commands that come over the serial console, one a line, and says how each ended.
/bin/busybox mkdir -p /proc /sys /dev /tmp /sbin /usr/bin /usr/sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t tmpfs -o size=100% tmpfs /tmp
# Messages of the kernel would end up in the middle of answers.
dmesg -n 1
kind=system
[ -e /proc/vmcore ] && kind=capture
console=/dev/$(cat /sys/class/tty/console/active)
exec <$console >$console 2>&1
stty -echo
echo "<<ready $kind>>"
while read -r line; do
  eval "$line"
  echo "<<done $?>>"
done
