using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Images.Catalog;

/// <summary>Who may see and who may change an image.</summary>
internal static class ImageAccess
{
    /// <summary>Whether an image may be known to the caller at all.</summary>
    public static bool CanSee(this OperationContext operation, Image image) =>
        operation.CanSee(image.Owner) ||
        image.Visibility is Visibility.Public or Visibility.Community ||
        (image.Visibility == Visibility.Shared && image.MemberOf(operation.ProjectId) is not null);

    /// <summary>Whether an image is in a list that asks for no visibility in particular.</summary>
    public static bool IsListed(this OperationContext operation, Image image) =>
        image.Owner == operation.ProjectId ||
        image.Visibility switch
        {
            Visibility.Public => true,
            Visibility.Community => false,
            Visibility.Shared => IsEverybody(operation) || image.MemberOf(operation.ProjectId) is { Status: MemberStatus.Accepted },
            _ => IsEverybody(operation),
        };

    /// <exception cref="FaultException">NotFound when the caller may not know of it, else Forbidden.</exception>
    public static void RequireChange(this OperationContext operation, Image image, string action)
    {
        RequireSee(operation, image);
        operation.RequireMember(action);
        if (!operation.CanSee(image.Owner))
        {
            throw ImageFaults.Forbidden($"You are not permitted to {action} this image.");
        }
    }

    public static void RequireSee(this OperationContext operation, Image image)
    {
        if (!operation.CanSee(image))
        {
            throw ImageFaults.NotFound(image.Id);
        }
    }

    /// <summary>Whether the caller may read the data.</summary>
    /// <exception cref="FaultException">NotFound; Forbidden while the image is deactivated; Conflict without data.</exception>
    public static ImageData RequireData(this OperationContext operation, Image image)
    {
        RequireSee(operation, image);
        if (image.Status == ImageStatus.Deactivated && !operation.IsAdmin)
        {
            throw ImageFaults.Forbidden("The requested image has been deactivated. Image data download is forbidden.");
        }
        return image.Data ?? throw Faults.Conflict($"Image {image.Id} is {image.Status.ToString().ToLowerInvariant()} and has no data.");
    }

    private static bool IsEverybody(OperationContext operation) => operation.SeesAll;
}
