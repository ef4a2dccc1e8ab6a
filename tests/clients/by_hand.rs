//! What `retrial explain FILE` prints are programs that work: those of every lesson are read by Python, and
//! one lesson is played with them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::{
    broker::Broker,
    environment::{self, or_skip},
    program,
};

/// For one line more. A group of one member forms in a second.
const BOUND: Duration = Duration::from_secs(30);

/// As printed, by name.
fn programs(lesson: &Path) -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_retrial")).arg("explain").arg(lesson).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let parts = text.split("\n--- ").skip(1);
    let named = parts.filter_map(|part| {
        let (name, body) = part.split_once('\n')?;
        name.ends_with(".py").then(|| (name.to_owned(), body.to_owned()))
    });
    named.collect()
}

fn lessons() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/lessons");
    let mut lessons: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    lessons.sort();
    lessons
}

#[test]
fn every_lesson_is_explained_in_programs_that_python_reads() {
    let Some(python) = or_skip("kafka-python", environment::python()) else { return };
    let directory = tempfile::tempdir().unwrap();
    for lesson in lessons() {
        let programs = programs(&lesson);
        assert!(programs.len() >= 2, "topics and a producer at least: {}", lesson.display());
        for (name, body) in programs {
            let file = directory.path().join(name);
            fs::write(&file, body).unwrap();
            let read =
                Command::new(&python).args(["-m", "py_compile"]).arg(&file).output().unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }
}

#[test]
fn a_lesson_can_be_played_by_hand() {
    let Some(python) = or_skip("kafka-python", environment::python()) else { return };
    let lesson =
        lessons().into_iter().find(|path| path.to_string_lossy().contains("/12-")).unwrap();
    let broker = Broker::start_with(&[]);
    let directory = tempfile::tempdir().unwrap();
    for (name, body) in programs(&lesson) {
        let file = directory.path().join(&name);
        fs::write(&file, body.replace("127.0.0.1:9092", &broker.listening)).unwrap();
        if name != "billing-1.py" {
            program::run(&mut program::python(&python, &file)).unwrap();
            continue;
        }
        let mut consumer = program::python(&python, &file).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(consumer.stdout.take().unwrap());
        let (say, said) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| say.send(line))
        });
        let handled: Vec<_> = (0..10).map_while(|_| said.recv_timeout(BOUND).ok()).collect();
        consumer.kill().unwrap();
        consumer.wait().unwrap();
        let expected: Vec<_> = (0..10).map(|i| format!("orders-0@{i} None b'{i}'")).collect();
        assert_eq!(handled, expected);
    }
}
