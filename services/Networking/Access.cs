using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Networks;
using Nephos.Networking.Sharing;

namespace Nephos.Networking;

/// <summary>Who may see and change what. A service that vouches for a user has that user's rights and those of services, not more.</summary>
internal static class Access
{
    /// <summary>Administrators, and services acting for themselves: the role is theirs, not only the voucher.</summary>
    public static bool IsPrivileged(this OperationContext operation) => operation.IsAdmin || operation.HasRole("service");

    /// <summary>Whether the caller may do what only administrators and services may: choose nodes, bindings, owners.</summary>
    public static bool MayBind(this OperationContext operation) => operation.SeesAll;

    public static bool Owns(this OperationContext operation, string projectId) =>
        operation.IsPrivileged() || (projectId.Length > 0 && operation.ProjectId == projectId);

    /// <summary>Whether the caller may use an object: its own, or one that its project has a grant of.</summary>
    public static bool Sees(this OperationContext operation, SharedResource resource) =>
        operation.Owns(resource.ProjectId) || resource.Allows(GrantAction.Shared, operation.ProjectId);

    public static bool Sees(this OperationContext operation, Network network) =>
        operation.Sees((SharedResource)network) || network.Allows(GrantAction.External, operation.ProjectId);

    /// <summary>Whether routers and floating IPs of the caller may be on a network.</summary>
    public static bool MayLeaveBy(this OperationContext operation, Network network) =>
        network.External && (operation.Owns(network.ProjectId) || network.Allows(GrantAction.External, operation.ProjectId));

    /// <summary>The project a new object belongs to.</summary>
    /// <param name="operation">The caller.</param>
    /// <param name="requested">Empty: the caller's own.</param>
    /// <exception cref="FaultException">Forbidden: the caller may not act for that project.</exception>
    public static string ProjectFor(this OperationContext operation, string requested)
    {
        operation.RequireMember("create network resources");
        if (requested.Length == 0 || requested == operation.ProjectId)
        {
            return operation.RequireProject();
        }

        return operation.IsPrivileged() ? Checks.ProjectId(requested) : throw Faults.Forbidden("act for another project");
    }

    /// <summary>For objects that the caller can see: whether it may change them.</summary>
    /// <exception cref="FaultException">Forbidden.</exception>
    public static void RequireOwner(this OperationContext operation, string projectId, string action)
    {
        operation.RequireMember(action);
        if (!operation.Owns(projectId))
        {
            throw Faults.Forbidden(action);
        }
    }

    /// <exception cref="FaultException">Forbidden.</exception>
    public static void RequirePrivileged(this OperationContext operation, bool needed, string action)
    {
        if (needed && !operation.IsPrivileged())
        {
            throw Faults.Forbidden(action);
        }
    }
}
