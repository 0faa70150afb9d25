using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Images;

/// <summary>The faults of the image service, in the words that clients of the image API know.</summary>
internal static class ImageFaults
{
    public static FaultException NotFound(string id) =>
        new(ErrorReason.NotFound, $"No image found with ID {Shown(id)}", Of("Image", id));

    public static FaultException MemberNotFound(string id, string projectId) =>
        new(ErrorReason.NotFound, $"{Shown(projectId)} not found in the member list of the image {id}.", Of("Member", projectId));

    public static FaultException TagNotFound() => new(ErrorReason.NotFound, "The resource could not be found.");

    public static FaultException Protected(string id) =>
        new(ErrorReason.Forbidden, $"Image {id} is protected and cannot be deleted.", Of("Image", id));

    public static FaultException Forbidden(string message) => new(ErrorReason.Forbidden, message);

    public static FaultException Transition(string from, string to) =>
        new(ErrorReason.Conflict, $"Image status transition from {from} to {to} is not allowed");

    public static FaultException Limit(string what, long limit) =>
        new(ErrorReason.ImageLimitExceeded, $"Attempted to set {what}: the limit is {limit}.", new Dictionary<string, string> { ["limit"] = $"{limit}" });

    public static FaultException OverQuota(string what, long limit) =>
        new(ErrorReason.ImageLimitExceeded, $"The request was denied because it exceeds the quota of {what}: {limit}.",
            new Dictionary<string, string> { ["limit"] = $"{limit}" });

    /// <summary>The data is not what its record says, or would reach out of itself.</summary>
    public static FaultException BadContent(string rule) =>
        new(ErrorReason.ImageContentRefused, $"The data of the image is refused: {rule}", new Dictionary<string, string> { ["field"] = "data" });

    /// <summary>The upload is over: its image was deleted meanwhile, or it was silent for too long.</summary>
    public static FaultException UploadLost(string id) =>
        new(ErrorReason.ImageUploadLost, $"The upload of image {id} is no longer wanted: the image was deleted, or the upload stalled.");

    private static Dictionary<string, string> Of(string kind, string id) => new() { ["kind"] = kind, ["id"] = id };

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "...";
}
