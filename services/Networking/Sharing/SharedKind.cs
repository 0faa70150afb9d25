using Nephos.Kernel.State;
using Nephos.Networking.State;

namespace Nephos.Networking.Sharing;

/// <summary>A kind of object that can be shared: where it is kept, and who uses it.</summary>
internal abstract class SharedKind(string name)
{
    /// <summary>The name that clients have for it.</summary>
    public string Name => name;

    public abstract IEnumerable<SharedResource> List(NetworkView view);

    public abstract ValueTask<SharedResource?> GetAsync(StateTransaction transaction, string id, CancellationToken cancellationToken);

    public abstract ValueTask<SharedResource?> FindByGrantAsync(StateTransaction transaction, string grantId, CancellationToken cancellationToken);

    public abstract void Put(StateTransaction transaction, SharedResource resource);

    /// <summary>The projects that use an object in the way that an action allows; the owner may be among them.</summary>
    public abstract Task<IReadOnlyCollection<string>> UsersAsync(
        StateTransaction transaction, SharedResource resource, GrantAction action, CancellationToken cancellationToken);
}

internal delegate Task<IReadOnlyCollection<string>> FindUsers(
    StateTransaction transaction, string id, GrantAction action, CancellationToken cancellationToken);

internal sealed class SharedKind<T>(
    string name, TableSchema<T> table, Func<NetworkView, IEnumerable<T>> list, FindUsers users) : SharedKind(name)
    where T : SharedResource
{
    public override IEnumerable<SharedResource> List(NetworkView view) => list(view);

    public override async ValueTask<SharedResource?> GetAsync(StateTransaction transaction, string id, CancellationToken cancellationToken) =>
        await transaction.ByIdAsync(table, id, cancellationToken);

    public override async ValueTask<SharedResource?> FindByGrantAsync(
        StateTransaction transaction, string grantId, CancellationToken cancellationToken) =>
        await transaction.FindAsync(table, Tables.ByGrant, grantId, cancellationToken);

    public override void Put(StateTransaction transaction, SharedResource resource) => transaction.Put(table, (T)resource);

    public override Task<IReadOnlyCollection<string>> UsersAsync(
        StateTransaction transaction, SharedResource resource, GrantAction action, CancellationToken cancellationToken) =>
        users(transaction, resource.Id, action, cancellationToken);
}
