# What is done inside: both services as an operator has them start, go on, and stop. Each line of `told` is a word
# and what it was.
cd /tmp/told
settings() { grep -rs . /proc/sys/net | sort > "settings.$1"; }
tell() { echo "$*" >> told; }
show() { systemctl show "$1" -p "$2" --value; }

tell inside yes
settings before
systemctl daemon-reload
systemctl start broadside-tune
tell tune.start $?
tell tune.state "$(show broadside-tune ActiveState)"
settings tuned

systemctl start broadside
tell engine.start $?
tell engine.user "$(stat -c %U "/proc/$(show broadside MainPID)")"
exec 3<> /dev/tcp/127.0.0.1/9380
printf 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9380\r\nConnection: close\r\n\r\n' >&3
cat <&3 > metrics
systemctl reload broadside
tell engine.reload $?
systemctl kill -s KILL broadside
for _ in $(seq 300); do
  [ "$(show broadside NRestarts)/$(show broadside ActiveState)" = 1/active ] && break
  sleep 0.1
done
tell engine.restarts "$(show broadside NRestarts)"
tell engine.state "$(show broadside ActiveState)"
systemctl stop broadside
tell engine.stop $?
tell engine.result "$(show broadside Result)"

systemctl stop broadside-tune
tell tune.stop $?
tell tune.result "$(show broadside-tune Result)"
settings after
tell through yes
systemctl exit 0 --force
