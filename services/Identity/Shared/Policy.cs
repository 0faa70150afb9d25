using Nephos.Identity.Tokens;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Identity.Shared;

/// <summary>Who may do what in the directory. Decided by the verified caller and stored objects only, never by what a request says.</summary>
/// <remarks>
/// The role admin, in whatever scope, administers the cloud. A manager of a domain (token of the domain with the role manager)
/// administers users, groups and projects of that domain. Readers of the system read everything, readers of a domain its
/// objects. Every method refuses tokens that were made by showing an access key.
/// </remarks>
internal static class Policy
{
    /// <exception cref="FaultException">Forbidden.</exception>
    public static void RequireAdmin(OperationContext operation, string action) => Require(IsAdmin(operation), operation, action);

    /// <summary>Administrators, services, and readers of the system.</summary>
    public static void RequireReader(OperationContext operation, string action) => Require(MayReadAll(operation), operation, action);

    /// <summary>Objects of a domain: also its managers.</summary>
    public static void RequireManager(OperationContext operation, string domainId, string action) =>
        Require(IsAdmin(operation) || IsManagerOf(operation, domainId), operation, action);

    /// <summary>Objects of a domain: also its readers.</summary>
    public static void RequireReader(OperationContext operation, string domainId, string action) =>
        Require(MayRead(operation, domainId), operation, action);

    /// <summary>Objects of a user: also the user.</summary>
    public static void RequireSelfOrReader(OperationContext operation, string userId, string domainId, string action) =>
        Require(operation.UserId == userId || MayRead(operation, domainId), operation, action);

    /// <summary>What only the user may do, with a token that a credential has not bounded.</summary>
    public static void RequireSelf(OperationContext operation, string userId, string action) =>
        Require(operation.UserId == userId, operation, action);

    /// <summary>Any caller, but not with a token made by showing an access key.</summary>
    public static void RequireOwnProof(OperationContext operation) => Require(true, operation, "identity");

    /// <summary>Credentials may be managed with a password's token, or an application credential that is unrestricted.</summary>
    public static void RequireUnrestricted(OperationContext operation, string action) => Require(!operation.IsRestricted, operation, action);

    public static bool MayReadAll(OperationContext operation) =>
        IsAdmin(operation) || operation.IsService || (operation.IsSystemScoped && operation.HasRole("reader"));

    public static bool MayRead(OperationContext operation, string domainId) =>
        MayReadAll(operation) || (operation.DomainId == domainId && operation.HasRole("reader"));

    public static bool IsAdmin(OperationContext operation) => operation.IsAdmin;

    public static bool IsManagerOf(OperationContext operation, string domainId) =>
        operation.DomainId == domainId && operation.HasRole("manager");

    private static void Require(bool isAllowed, OperationContext operation, string action)
    {
        if (!isAllowed || operation.Methods.Contains(TokenIssuer.Ec2Method))
        {
            throw Faults.Forbidden(action);
        }
    }
}
