/** Every promise, in the order in which they are tried. */
import './cgroup';
import './kernel';
import './systemd';
import './apparmor';
import './activation';
