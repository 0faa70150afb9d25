using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Who may work in an account by role alone; ACLs of the faces come on top.</summary>
internal static class Access
{
    /// <summary>The account a gRPC call means: its own unless it names another, which administrators and services may.</summary>
    public static string AccountOf(OperationContext operation, string account)
    {
        if (account.Length == 0)
        {
            return operation.RequireProject();
        }
        return operation.IsService || OwnsAccount(operation, account) ? account : throw Faults.NotFound("Account", account);
    }

    /// <summary>Full rights in the account: a member of its project, or an administrator of all accounts.</summary>
    public static bool OwnsAccount(OperationContext operation, string account) =>
        IsReseller(operation) || (operation.ProjectId == account && (operation.HasRole("member") || operation.HasRole("admin")));

    public static bool IsReseller(OperationContext operation) => operation.IsAdmin || operation.HasRole("reselleradmin");
}
