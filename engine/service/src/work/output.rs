//! The output of a job: one part per step, combined into one file at the end.
//!
//! A part has the number of its step, so a repeated step writes the same part again. A job that is canceled leaves no
//! output.

use crate::work::source::failed;
use crate::work::{Stop, Turn};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use protocol::s3_location::S3Location;
use protocol::{Error, Result};

/// The size in bytes of a piece of an upload, and so the memory that is used. S3 requires at least 5 MiB.
const PIECE: usize = 8 * 1024 * 1024;

/// `{jobId}_{epochSeconds}_output` in the output folder of the job.
fn name(turn: &Turn<'_>, suffix: &str) -> Result<S3Location, Stop> {
    let job = &turn.job;
    let path = job.files.as_ref().map(|files| files.output_path.as_str());
    let folder = S3Location::folder("outputPath", path.unwrap_or_default())?;
    let seconds = job.started().as_second();
    Ok(folder.within(&format!("{}_{seconds}_output{suffix}", job.job_id)))
}

fn part(turn: &Turn<'_>, number: u64) -> Result<S3Location, Stop> {
    name(turn, &format!(".parts/{number:08}.csv"))
}

/// Writes the next part, unless it is empty.
pub(super) async fn write_part(turn: &mut Turn<'_>, bytes: Vec<u8>) -> Result<(), Stop> {
    if !bytes.is_empty() {
        put(turn, &part(turn, turn.state.place.parts)?, bytes).await?;
        turn.state.place.parts += 1;
    }
    Ok(())
}

async fn put(turn: &Turn<'_>, location: &S3Location, bytes: Vec<u8>) -> Result<(), Stop> {
    let request = turn.jobs.s3.put_object();
    let request = request.bucket(&location.bucket).key(&location.key);
    let sent = request.body(ByteStream::from(bytes)).send().await;
    sent.map(|_| ())
        .map_err(|error| failed("write", location, error))
}

/// Combines all parts into one file, which is empty if there are none.
pub(super) async fn finish(turn: &Turn<'_>) -> Result<(), Stop> {
    let file = name(turn, ".csv")?;
    let mut upload: Option<Upload<'_>> = None;
    let mut piece = Vec::new();
    for number in 0..turn.state.place.parts {
        piece.extend_from_slice(&get(turn, &part(turn, number)?).await?);
        if piece.len() >= PIECE {
            let mut open = match upload.take() {
                Some(open) => open,
                None => Upload::begin(turn, &file).await?,
            };
            open.add(std::mem::take(&mut piece)).await?;
            upload = Some(open);
        }
    }
    match upload {
        None => put(turn, &file, piece).await,
        Some(mut open) => {
            if !piece.is_empty() {
                open.add(piece).await?;
            }
            open.complete().await
        }
    }
}

async fn get(turn: &Turn<'_>, location: &S3Location) -> Result<Vec<u8>, Stop> {
    let request = turn.jobs.s3.get_object();
    let request = request.bucket(&location.bucket).key(&location.key);
    let object = request.send().await;
    let object = object.map_err(|error| failed("read", location, error))?;
    let body = object.body.collect().await.map_err(Error::internal)?;
    Ok(body.to_vec())
}

/// Deletes the parts, and the one that may have been written without being saved in the progress. Parts that remain if
/// this fails are never read.
pub(super) async fn sweep(turn: &Turn<'_>) {
    for number in 0..=turn.state.place.parts {
        let Ok(location) = part(turn, number) else {
            return;
        };
        let request = turn.jobs.s3.delete_object();
        let request = request.bucket(&location.bucket).key(&location.key);
        if request.send().await.is_err() && number < turn.state.place.parts {
            tracing::warn!("a part of a job's output could not be deleted");
        }
    }
}

/// A file that is uploaded to S3 in pieces.
struct Upload<'a> {
    client: &'a aws_sdk_s3::Client,
    file: &'a S3Location,
    id: String,
    done: Vec<CompletedPart>,
}

impl<'a> Upload<'a> {
    async fn begin(turn: &'a Turn<'_>, file: &'a S3Location) -> Result<Self, Stop> {
        let client = &turn.jobs.s3;
        let request = client.create_multipart_upload();
        let request = request.bucket(&file.bucket).key(&file.key);
        let begun = request.send().await;
        let begun = begun.map_err(|error| failed("write", file, error))?;
        Ok(Self {
            client,
            file,
            id: begun.upload_id.unwrap_or_default(),
            done: Vec::new(),
        })
    }

    async fn add(&mut self, piece: Vec<u8>) -> Result<(), Stop> {
        let number = i32::try_from(self.done.len() + 1).unwrap_or(i32::MAX);
        let request = self.client.upload_part().upload_id(&self.id);
        let request = request.bucket(&self.file.bucket).key(&self.file.key);
        let sent = request
            .part_number(number)
            .body(ByteStream::from(piece))
            .send()
            .await;
        let sent = sent.map_err(|error| failed("write", self.file, error))?;
        let part = CompletedPart::builder().part_number(number);
        self.done.push(part.set_e_tag(sent.e_tag).build());
        Ok(())
    }

    async fn complete(self) -> Result<(), Stop> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.done));
        let request = self.client.complete_multipart_upload().upload_id(self.id);
        let request = request.bucket(&self.file.bucket).key(&self.file.key);
        let sent = request.multipart_upload(parts.build()).send().await;
        sent.map(|_| ())
            .map_err(|error| failed("write", self.file, error))
    }
}
