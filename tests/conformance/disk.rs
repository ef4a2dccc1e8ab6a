//! What both worlds promise of a disk.

super::both_worlds! {
    reads_return_what_was_written
    a_read_is_short_only_at_the_end
    a_gap_reads_as_zeros
    set_len_cuts_and_extends_with_zeros
    open_modes_create_keep_and_empty
    a_file_opened_for_reading_takes_no_writes
    two_handles_see_one_file
    missing_things_are_not_found
    rename_replaces_its_target
    rename_moves_directories_with_their_files
    rename_fails_where_posix_says
    an_open_file_survives_rename_and_remove
    remove_takes_a_directory_with_its_content
    create_dir_makes_parents_and_is_fine_if_it_exists
    list_is_sorted_and_names_entries_of_one_level
    syncs_succeed
    paths_that_could_lead_out_are_refused
    a_file_is_no_directory
    a_disk_knows_its_place_and_its_room
}

mod bodies {
    use std::{io, io::ErrorKind, sync::Arc};

    use retrial::env::{Env, File, OpenMode};

    fn create(env: &Env, path: &str, content: &[u8]) -> Arc<dyn File> {
        let file = env.disk.open(path, OpenMode::Create).unwrap();
        file.write_at(0, content).unwrap();
        file
    }

    fn content(file: &dyn File) -> Vec<u8> {
        let mut content = vec![0xEE; file.len() as usize + 10];
        let read = file.read_at(0, &mut content).unwrap();
        assert_eq!(read as u64, file.len());
        content.truncate(read);
        content
    }

    fn read(env: &Env, path: &str) -> Vec<u8> {
        content(&*env.disk.open(path, OpenMode::Read).unwrap())
    }

    fn kind<T>(result: io::Result<T>) -> ErrorKind {
        match result {
            Ok(_) => panic!("an error was expected"),
            Err(error) => error.kind(),
        }
    }

    pub async fn reads_return_what_was_written(env: Env) {
        let file = create(&env, "f", b"hello world");
        file.write_at(6, b"there").unwrap();
        assert_eq!(content(&*file), b"hello there");
        let mut middle = [0; 4];
        assert_eq!(file.read_at(3, &mut middle).unwrap(), 4);
        assert_eq!(&middle, b"lo t");
        // Across page borders.
        let long: Vec<u8> = (0..20_000u32).map(|i| i as u8).collect();
        file.write_at(4000, &long).unwrap();
        let mut back = vec![0; 20_000];
        assert_eq!(file.read_at(4000, &mut back).unwrap(), 20_000);
        assert_eq!(back, long);
    }

    pub async fn a_read_is_short_only_at_the_end(env: Env) {
        let file = create(&env, "f", b"12345");
        let mut buf = [0; 10];
        assert_eq!(file.read_at(2, &mut buf).unwrap(), 3);
        assert_eq!(&buf[..3], b"345");
        assert_eq!(file.read_at(5, &mut buf).unwrap(), 0);
        assert_eq!(file.read_at(5000, &mut buf).unwrap(), 0);
        assert_eq!(file.read_at(0, &mut []).unwrap(), 0);
    }

    pub async fn a_gap_reads_as_zeros(env: Env) {
        let file = create(&env, "f", b"ab");
        file.write_at(5, b"cd").unwrap();
        assert_eq!(content(&*file), b"ab\0\0\0cd");
        file.write_at(9, b"").unwrap();
        assert_eq!(file.len(), 7);
    }

    pub async fn set_len_cuts_and_extends_with_zeros(env: Env) {
        let file = create(&env, "f", b"abcdef");
        file.set_len(3).unwrap();
        assert_eq!(content(&*file), b"abc");
        file.set_len(5).unwrap();
        assert_eq!(content(&*file), b"abc\0\0");
        file.set_len(100_000).unwrap();
        assert_eq!(file.len(), 100_000);
        file.write_at(50_000, b"x").unwrap();
        file.set_len(50_000).unwrap();
        file.set_len(50_001).unwrap();
        let mut last = [1];
        file.read_at(50_000, &mut last).unwrap();
        assert_eq!(last, [0]);
    }

    pub async fn open_modes_create_keep_and_empty(env: Env) {
        assert!(env.disk.open("f", OpenMode::Create).unwrap().is_empty());
        create(&env, "f", b"kept");
        assert_eq!(content(&*env.disk.open("f", OpenMode::Create).unwrap()), b"kept");
        assert_eq!(content(&*env.disk.open("f", OpenMode::ReadWrite).unwrap()), b"kept");
        assert!(env.disk.open("f", OpenMode::Truncate).unwrap().is_empty());
        assert!(env.disk.open("g", OpenMode::Truncate).unwrap().is_empty());
    }

    pub async fn a_file_opened_for_reading_takes_no_writes(env: Env) {
        create(&env, "f", b"kept");
        let file = env.disk.open("f", OpenMode::Read).unwrap();
        assert!(file.write_at(0, b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert_eq!(read(&env, "f"), b"kept");
    }

    pub async fn two_handles_see_one_file(env: Env) {
        let writer = create(&env, "f", b"one");
        let reader = env.disk.open("f", OpenMode::Read).unwrap();
        writer.write_at(3, b" two").unwrap();
        assert_eq!(content(&*reader), b"one two");
    }

    pub async fn missing_things_are_not_found(env: Env) {
        assert_eq!(kind(env.disk.open("f", OpenMode::Read)), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.open("f", OpenMode::ReadWrite)), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.open("d/f", OpenMode::Create)), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.remove("f")), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.rename("f", "g")), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.list("d")), ErrorKind::NotFound);
        assert_eq!(kind(env.disk.sync_dir("d").await), ErrorKind::NotFound);
        create(&env, "f", b"");
        assert_eq!(kind(env.disk.rename("f", "d/f")), ErrorKind::NotFound);
    }

    pub async fn rename_replaces_its_target(env: Env) {
        create(&env, "new", b"new");
        create(&env, "old", b"old");
        env.disk.rename("new", "old").unwrap();
        assert_eq!(read(&env, "old"), b"new");
        assert_eq!(env.disk.list("").unwrap(), ["old"]);
        env.disk.rename("old", "old").unwrap();
        assert_eq!(read(&env, "old"), b"new");
    }

    pub async fn rename_moves_directories_with_their_files(env: Env) {
        env.disk.create_dir("a/b").unwrap();
        create(&env, "a/b/f", b"moved");
        env.disk.rename("a/b", "c").unwrap();
        assert_eq!(read(&env, "c/f"), b"moved");
        assert!(env.disk.list("a").unwrap().is_empty());
        // An empty directory may be replaced by another.
        env.disk.rename("c", "a").unwrap();
        assert_eq!(read(&env, "a/f"), b"moved");
    }

    pub async fn rename_fails_where_posix_says(env: Env) {
        env.disk.create_dir("d/inner").unwrap();
        env.disk.create_dir("e").unwrap();
        create(&env, "f", b"f");
        assert_eq!(kind(env.disk.rename("f", "d")), ErrorKind::IsADirectory);
        assert_eq!(kind(env.disk.rename("d", "f")), ErrorKind::NotADirectory);
        assert_eq!(kind(env.disk.rename("e", "d")), ErrorKind::DirectoryNotEmpty);
        assert_eq!(kind(env.disk.rename("d", "d/inner/d")), ErrorKind::InvalidInput);
        assert_eq!(env.disk.list("").unwrap(), ["d", "e", "f"]);
    }

    pub async fn an_open_file_survives_rename_and_remove(env: Env) {
        let file = create(&env, "f", b"one");
        env.disk.rename("f", "g").unwrap();
        file.write_at(3, b" two").unwrap();
        assert_eq!(read(&env, "g"), b"one two");
        env.disk.remove("g").unwrap();
        file.write_at(7, b" three").unwrap();
        file.sync().await.unwrap();
        assert_eq!(content(&*file), b"one two three");
        assert!(env.disk.list("").unwrap().is_empty());
        create(&env, "g", b"another");
        assert_eq!(content(&*file), b"one two three");
    }

    pub async fn remove_takes_a_directory_with_its_content(env: Env) {
        env.disk.create_dir("d/inner").unwrap();
        create(&env, "d/f", b"");
        create(&env, "d/inner/g", b"");
        env.disk.remove("d").unwrap();
        assert!(env.disk.list("").unwrap().is_empty());
        env.disk.create_dir("d").unwrap();
        assert!(env.disk.list("d").unwrap().is_empty());
    }

    pub async fn create_dir_makes_parents_and_is_fine_if_it_exists(env: Env) {
        env.disk.create_dir("a/b/c").unwrap();
        env.disk.create_dir("a/b").unwrap();
        env.disk.create_dir("").unwrap();
        assert_eq!(env.disk.list("a/b").unwrap(), ["c"]);
    }

    pub async fn list_is_sorted_and_names_entries_of_one_level(env: Env) {
        for name in ["b", "a10", "a2", "B"] {
            create(&env, name, b"");
        }
        env.disk.create_dir("dir").unwrap();
        create(&env, "dir/inner", b"");
        assert_eq!(env.disk.list("").unwrap(), ["B", "a10", "a2", "b", "dir"]);
        assert_eq!(env.disk.list("dir").unwrap(), ["inner"]);
    }

    pub async fn syncs_succeed(env: Env) {
        env.disk.create_dir("d").unwrap();
        let file = create(&env, "d/f", b"synced");
        let (one, two) = (file.sync(), file.sync());
        two.await.unwrap();
        one.await.unwrap();
        file.sync().await.unwrap();
        env.disk.sync_dir("d").await.unwrap();
        env.disk.sync_dir("").await.unwrap();
        assert_eq!(read(&env, "d/f"), b"synced");
    }

    pub async fn paths_that_could_lead_out_are_refused(env: Env) {
        for path in ["..", "../f", "/f", "a/../../f", "a//f", "./f", "a/"] {
            assert_eq!(
                kind(env.disk.open(path, OpenMode::Create)),
                ErrorKind::InvalidInput,
                "{path}"
            );
            assert_eq!(kind(env.disk.create_dir(path)), ErrorKind::InvalidInput, "{path}");
            assert_eq!(kind(env.disk.remove(path)), ErrorKind::InvalidInput, "{path}");
        }
        assert_eq!(kind(env.disk.remove("")), ErrorKind::InvalidInput);
        assert!(env.disk.list("").unwrap().is_empty());
    }

    pub async fn a_file_is_no_directory(env: Env) {
        create(&env, "f", b"");
        env.disk.create_dir("d").unwrap();
        assert_eq!(kind(env.disk.open("f/g", OpenMode::Create)), ErrorKind::NotADirectory);
        assert_eq!(kind(env.disk.list("f")), ErrorKind::NotADirectory);
        assert_eq!(kind(env.disk.open("d", OpenMode::Read)), ErrorKind::IsADirectory);
        assert_eq!(kind(env.disk.open("d", OpenMode::ReadWrite)), ErrorKind::IsADirectory);
    }

    pub async fn a_disk_knows_its_place_and_its_room(env: Env) {
        assert!(env.disk.location().starts_with('/'));
        // The simulated one never fills unless it is told to.
        assert!(env.disk.space().unwrap().is_none_or(|space| space.free <= space.total));
    }
}
