use std::path::Path;

use super::file_system;

#[test]
fn the_nearest_mount_point_counts() {
    let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tmpx xfs rw 0 0\n";
    assert_eq!(file_system(mounts, Path::new("/tmp/bench")), "tmpfs on tmpfs");
    assert_eq!(file_system(mounts, Path::new("/home")), "ext4 on /dev/vda");
    assert_eq!(file_system("", Path::new("/home")), "?");
}
