//! The few calls of etcd's JSON gateway that a reset needs.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A key (base64) with its value (base64) and the revision of its last write.
pub struct Row {
    pub value: String,
    pub revision: String,
}

/// etcd's client address.
pub struct Etcd {
    pub port: u16,
}

impl Etcd {
    /// All keys below `/registry/`; values are left out with `keys_only`.
    pub fn all(&self, keys_only: bool) -> BTreeMap<String, Row> {
        // "/registry/" to "/registry0" in base64.
        let answer = self.call(
            "range",
            &json!({"key": "L3JlZ2lzdHJ5Lw==", "range_end": "L3JlZ2lzdHJ5MA==", "keys_only": keys_only}),
        );
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let rows = answer["kvs"].as_array().cloned().unwrap_or_default();
        rows.iter()
            .map(|row| (text(row, "key"), Row { value: text(row, "value"), revision: text(row, "mod_revision") }))
            .collect()
    }

    pub fn delete(&self, key: &str) {
        self.call("deleterange", &json!({"key": key}));
    }

    pub fn put(&self, key: &str, value: &str) {
        self.call("put", &json!({"key": key, "value": value}));
    }

    fn call(&self, verb: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("etcd answers");
        // HTTP/1.0: the answer ends with the connection and has no chunks.
        write!(stream, "POST /v3/kv/{verb} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("etcd reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("etcd writes");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.contains(" 200 "), "etcd refused {verb}: {answer}");
        serde_json::from_str(body).expect("etcd answers JSON")
    }
}
