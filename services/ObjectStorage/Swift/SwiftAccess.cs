using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Who may do what: owners by role, others by the container's ACLs, anyone with a signed URL for just that.</summary>
internal static class SwiftAccess
{
    public static bool IsOwner(SwiftCall call) => call.Operation is { } operation && Access.OwnsAccount(operation, call.Path.Project);

    public static bool IsReseller(SwiftCall call) => call.Operation is { } operation && Access.IsReseller(operation);

    public static void RequireOwner(SwiftCall call)
    {
        if (!IsOwner(call))
        {
            throw Denied(call);
        }
    }

    /// <exception cref="SwiftFault">401 without a token, 403 with one.</exception>
    public static void RequireRead(SwiftCall call, BucketRecord bucket, bool listing)
    {
        if (call.IsSigned || IsOwner(call) || IsReader(call))
        {
            return;
        }
        var acl = bucket.Metadata.GetValueOrDefault(SwiftAcl.ReadKey, "");
        var granted = SwiftAcl.Grants(acl, call.Operation) ||
            (SwiftAcl.GrantsReferrer(acl, call.Header("Referer")) && (!listing || SwiftAcl.GrantsListings(acl)));
        if (!granted)
        {
            throw Denied(call);
        }
    }

    public static void RequireWrite(SwiftCall call, BucketRecord bucket)
    {
        if (!call.IsSigned && !IsOwner(call) && !SwiftAcl.Grants(bucket.Metadata.GetValueOrDefault(SwiftAcl.WriteKey, ""), call.Operation))
        {
            throw Denied(call);
        }
    }

    public static SwiftFault Denied(SwiftCall call) => call.Operation is null ? SwiftFault.Unauthorized() : SwiftFault.Forbidden();

    /// <summary>A reader of the project sees everything in it and changes nothing.</summary>
    private static bool IsReader(SwiftCall call) =>
        call.Operation is { } operation && operation.ProjectId == call.Path.Project && operation.HasRole("reader");
}
