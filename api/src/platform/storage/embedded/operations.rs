//! What the store can do, as s3s asks for it.
//! Promise: every other operation of S3 is answered with NotImplemented, and none with half of what it means.

use std::sync::Arc;

use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, DeleteObjectInput,
        DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error, GetBucketCorsInput,
        GetBucketCorsOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
        HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutBucketCorsInput, PutBucketCorsOutput,
        PutObjectInput, PutObjectOutput,
    },
    s3_error,
};

use super::{Limits, blocking, disk::Disk, get, list, put};

/// The most keys of one DeleteObjects, as S3 has it.
const MOST_DELETED: usize = 1000;

/// The operations on a folder.
pub(super) struct Operations {
    pub(super) disk: Arc<Disk>,
    pub(super) limits: Limits,
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let disk = self.disk.clone();
        let location = Some(format!("/{}", request.input.bucket));
        blocking(move || disk.create_bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let disk = self.disk.clone();
        blocking(move || disk.bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_bucket_cors(
        &self,
        request: S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let (disk, input) = (self.disk.clone(), request.input);
        blocking(move || disk.set_cors(&input.bucket, &input.cors_configuration)).await?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    async fn get_bucket_cors(
        &self,
        request: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let disk = self.disk.clone();
        let cors = blocking(move || disk.cors(&request.input.bucket)).await?;
        let rules = cors.ok_or_else(|| s3_error!(NoSuchCORSConfiguration))?.cors_rules;
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules) }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        put::put(self.disk.clone(), self.limits, request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        put::copy(self.disk.clone(), request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        get::get(self.disk.clone(), request.input).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        get::head(self.disk.clone(), request.input).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        list::list(self.disk.clone(), request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (disk, input) = (self.disk.clone(), request.input);
        if input.version_id.is_some() || input.if_match.is_some() {
            return Err(s3_error!(NotImplemented));
        }
        blocking(move || disk.delete(&input.bucket, &input.key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let (disk, input) = (self.disk.clone(), request.input);
        let conditional = |object: &s3s::dto::ObjectIdentifier| object.version_id.is_some() || object.e_tag.is_some();
        if input.delete.objects.len() > MOST_DELETED {
            return Err(s3_error!(MalformedXML));
        }
        if input.delete.objects.iter().any(conditional) {
            return Err(s3_error!(NotImplemented));
        }
        blocking(move || Ok(S3Response::new(delete_all(&disk, input)))).await
    }
}

fn delete_all(disk: &Disk, input: DeleteObjectsInput) -> DeleteObjectsOutput {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        match disk.delete(&input.bucket, &object.key) {
            Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() }),
            Err(error) => errors.push(told(object.key, &error)),
        }
    }
    if input.delete.quiet == Some(true) {
        deleted.clear();
    }
    DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..DeleteObjectsOutput::default() }
}

fn told(key: String, error: &S3Error) -> Error {
    tracing::warn!(%error, "an object could not be deleted");
    Error { key: Some(key), code: Some(error.code().as_str().to_owned()), ..Error::default() }
}
