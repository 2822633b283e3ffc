//! The names of files for keys.
//!
//! The parts of a key, divided by `/`, are the folders and the file, so that the folder can be read without this
//! program. A part that no file can be called by has a name of its own, and so has the file of a key that a folder is
//! called by, because the key is the beginning of others (`out.csv` beside `out.csv/part_1.csv`). The names begin or end
//! with `.@`, which keys do not.

/// A part of a key that no file can be called by, and the name of its file or folder.
const NAMES: [(&str, &str); 3] = [("", ".@empty"), (".", ".@dot"), ("..", ".@dots")];

/// The end of the name of a file beside the folder of the same key.
const BESIDE_FOLDER: &str = ".@object";

/// The path of a key's file in the folder of its bucket, unless a folder is there. `None` for a key that has a part with
/// a name of this module.
pub(super) fn encode_key(key: &str) -> Option<String> {
    let parts: Option<Vec<&str>> = key.split('/').map(encode_part).collect();
    Some(parts?.join("/"))
}

fn encode_part(part: &str) -> Option<&str> {
    if part.ends_with(BESIDE_FOLDER) || NAMES.iter().any(|(_, name)| part == *name) {
        return None;
    }
    let named = NAMES.iter().find(|(known, _)| part == *known);
    Some(named.map_or(part, |(_, name)| name))
}

/// The path of a key's file where a folder is at [`encode_key`].
pub(super) fn name_beside_folder(path: &str) -> String {
    format!("{path}{BESIDE_FOLDER}")
}

/// The key of a file.
pub(super) fn decode_path(path: &str) -> String {
    let path = path.strip_suffix(BESIDE_FOLDER).unwrap_or(path);
    let parts: Vec<&str> = path.split('/').map(decode_part).collect();
    parts.join("/")
}

fn decode_part(part: &str) -> &str {
    let named = NAMES.iter().find(|(_, name)| part == *name);
    named.map_or(part, |(part, _)| part)
}

/// The folders that the path of a file goes through, from the outside in.
pub(super) fn list_folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_files_and_files_have_keys() {
        for (key, path) in [
            ("a", "a"),
            ("rejected/2026/1.json", "rejected/2026/1.json"),
            ("a b/ü@.csv", "a b/ü@.csv"),
            ("folder/", "folder/.@empty"),
            ("/", ".@empty/.@empty"),
            ("a//b", "a/.@empty/b"),
            ("./a/../b", ".@dot/a/.@dots/b"),
            (".hidden/...", ".hidden/..."),
        ] {
            assert_eq!(encode_key(key).as_deref(), Some(path));
            assert_eq!(decode_path(path), key);
            assert_eq!(decode_path(&name_beside_folder(path)), key);
        }
        for key in ["a.@object", "a.@object/b", ".@empty", "a/.@dots/b"] {
            assert_eq!(encode_key(key), None, "{key}");
        }
    }

    #[test]
    fn folders_of_a_path() {
        for (path, want) in [("a", &[][..]), ("a/b/c", &["a", "a/b"])] {
            assert_eq!(list_folders(path).collect::<Vec<_>>(), want);
        }
    }
}
