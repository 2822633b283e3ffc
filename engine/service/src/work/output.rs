//! The output of a job: one part per step, combined into one file at the end.
//!
//! A part has the number of its step, so a repeated step writes the same part again. A job that is canceled leaves no
//! output.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use protocol::s3_location::S3Location;
use protocol::{Error, Result};

use crate::work::source::convert_s3_error;
use crate::work::{JobRun, JobStopReason};

/// The size in bytes of a piece of an upload, and so the memory that is used. S3 requires at least 5 MiB.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// `{jobId}_{epochSeconds}_output` in the output folder of the job.
fn build_output_location(job_run: &JobRun<'_>, suffix: &str) -> Result<S3Location, JobStopReason> {
    let job = &job_run.job;
    let path = job.files.as_ref().map(|files| files.output_path.as_str());
    let folder = S3Location::parse_folder("outputPath", path.unwrap_or_default())?;
    let seconds = job.start_time().as_second();
    Ok(folder.object_in_folder(&format!("{}_{seconds}_output{suffix}", job.job_id)))
}

fn build_part_location(job_run: &JobRun<'_>, number: u64) -> Result<S3Location, JobStopReason> {
    build_output_location(job_run, &format!(".parts/{number:08}.csv"))
}

/// Writes the next part, unless it is empty.
pub(super) async fn write_part(
    job_run: &mut JobRun<'_>,
    bytes: Vec<u8>,
) -> Result<(), JobStopReason> {
    if !bytes.is_empty() {
        write_object(
            job_run,
            &build_part_location(job_run, job_run.state.position.parts)?,
            bytes,
        )
        .await?;
        job_run.state.position.parts += 1;
    }
    Ok(())
}

async fn write_object(
    job_run: &JobRun<'_>,
    location: &S3Location,
    bytes: Vec<u8>,
) -> Result<(), JobStopReason> {
    let request = job_run.jobs.s3.put_object();
    let request = request.bucket(&location.bucket).key(&location.key);
    let sent = request.body(ByteStream::from(bytes)).send().await;
    sent.map(|_| ())
        .map_err(|error| convert_s3_error("write", location, error))
}

/// Combines all parts into one file, which is empty if there are none.
pub(super) async fn join_parts(job_run: &JobRun<'_>) -> Result<(), JobStopReason> {
    let file = build_output_location(job_run, ".csv")?;
    let mut upload: Option<MultipartUpload<'_>> = None;
    let mut piece = Vec::new();
    for number in 0..job_run.state.position.parts {
        piece.extend_from_slice(
            &read_object(job_run, &build_part_location(job_run, number)?).await?,
        );
        if piece.len() >= PIECE_BYTES {
            let mut open = match upload.take() {
                Some(open) => open,
                None => MultipartUpload::begin(job_run, &file).await?,
            };
            open.add_piece(std::mem::take(&mut piece)).await?;
            upload = Some(open);
        }
    }
    match upload {
        None => write_object(job_run, &file, piece).await,
        Some(mut open) => {
            if !piece.is_empty() {
                open.add_piece(piece).await?;
            }
            open.complete().await
        }
    }
}

async fn read_object(
    job_run: &JobRun<'_>,
    location: &S3Location,
) -> Result<Vec<u8>, JobStopReason> {
    let request = job_run.jobs.s3.get_object();
    let request = request.bucket(&location.bucket).key(&location.key);
    let object = request.send().await;
    let object = object.map_err(|error| convert_s3_error("read", location, error))?;
    let body = object.body.collect().await.map_err(Error::internal)?;
    Ok(body.to_vec())
}

/// Deletes the parts, and the one that may have been written without being saved in the progress. Parts that remain if
/// this fails are never read.
pub(super) async fn delete_parts(job_run: &JobRun<'_>) {
    for number in 0..=job_run.state.position.parts {
        let Ok(location) = build_part_location(job_run, number) else {
            return;
        };
        let request = job_run.jobs.s3.delete_object();
        let request = request.bucket(&location.bucket).key(&location.key);
        if request.send().await.is_err() && number < job_run.state.position.parts {
            tracing::warn!("a part of a job's output could not be deleted");
        }
    }
}

/// A file that is uploaded to S3 in pieces.
struct MultipartUpload<'a> {
    client: &'a aws_sdk_s3::Client,
    file: &'a S3Location,
    id: String,
    done: Vec<CompletedPart>,
}

impl<'a> MultipartUpload<'a> {
    async fn begin(job_run: &'a JobRun<'_>, file: &'a S3Location) -> Result<Self, JobStopReason> {
        let client = &job_run.jobs.s3;
        let request = client.create_multipart_upload();
        let request = request.bucket(&file.bucket).key(&file.key);
        let begun = request.send().await;
        let begun = begun.map_err(|error| convert_s3_error("write", file, error))?;
        Ok(Self {
            client,
            file,
            id: begun.upload_id.unwrap_or_default(),
            done: Vec::new(),
        })
    }

    async fn add_piece(&mut self, piece: Vec<u8>) -> Result<(), JobStopReason> {
        let number = i32::try_from(self.done.len() + 1).unwrap_or(i32::MAX);
        let request = self.client.upload_part().upload_id(&self.id);
        let request = request.bucket(&self.file.bucket).key(&self.file.key);
        let sent = request
            .part_number(number)
            .body(ByteStream::from(piece))
            .send()
            .await;
        let sent = sent.map_err(|error| convert_s3_error("write", self.file, error))?;
        let part = CompletedPart::builder().part_number(number);
        self.done.push(part.set_e_tag(sent.e_tag).build());
        Ok(())
    }

    async fn complete(self) -> Result<(), JobStopReason> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.done));
        let request = self.client.complete_multipart_upload().upload_id(self.id);
        let request = request.bucket(&self.file.bucket).key(&self.file.key);
        let sent = request.multipart_upload(parts.build()).send().await;
        sent.map(|_| ())
            .map_err(|error| convert_s3_error("write", self.file, error))
    }
}
