using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Migrations;

/// <param name="Status">In the words that clients know: migrating, finished, confirmed, reverting, reverted, done, error.</param>
internal sealed record MigrationDetails(Migration Migration, string Status);

/// <param name="InstanceId">Null: of any; likewise the others.</param>
internal sealed record MigrationQuery(string? InstanceId, string? Host, string? Status, string? Source, MigrationKind? Kind);

/// <summary>Keeps moves of instances, written in the commits that ask for them.</summary>
internal sealed class MigrationLog(IStateStore store, NodeRegistry nodes, InstanceViews views)
{
    private const string Counter = "migrations";

    /// <summary>Writes down a move.</summary>
    /// <param name="before">The instance as it was.</param>
    /// <param name="after">The instance as it is going to be.</param>
    /// <returns>The number of the move.</returns>
    public async Task<long> StartAsync(
        StateTransaction transaction, OperationContext operation, MigrationKind kind, Instance before, Instance after, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var number = (await transaction.GetAsync(MigrationCounter.Table, Counter, cancellationToken))?.Last + 1 ?? 1;
        transaction.Put(MigrationCounter.Table, new MigrationCounter(Counter, number));
        transaction.Insert(Migration.Table, new Migration
        {
            Number = number,
            Uuid = Ids.NewUuid(),
            InstanceId = before.Id,
            ProjectId = before.ProjectId,
            UserId = operation.UserId,
            Kind = kind,
            Source = NameOf(before.Claim),
            Destination = NameOf(after.Claim),
            OldFlavorId = before.Flavor.Id,
            NewFlavorId = after.Flavor.Id,
            Generation = after.Generation,
            CreatedAt = now,
        });
        return number;
    }

    public async Task EndAsync(StateTransaction transaction, long number, MigrationEnd end, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (await transaction.GetAsync(Migration.Table, Migration.KeyOf(number), cancellationToken) is { End: null } migration)
        {
            transaction.Put(Migration.Table, migration with { End = end, UpdatedAt = now });
        }
    }

    /// <summary>Newest first. Administrators only.</summary>
    public async Task<IReadOnlyList<MigrationDetails>> ListAsync(OperationContext operation, MigrationQuery query, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-migrations:index");
        var all = query.InstanceId is { } instanceId
            ? Ids.IsUuid(instanceId) ? await store.ListByAsync(Migration.Table, "instance", instanceId, cancellationToken) : []
            : await store.ListAsync(Migration.Table, "", cancellationToken);
        return
        [
            .. all.OrderByDescending(migration => migration.Number)
                .Where(migration => (query.Host is not { } host || migration.Source == host || migration.Destination == host)
                    && (query.Source is not { } source || migration.Source == source)
                    && (query.Kind is not { } kind || migration.Kind == kind))
                .Select(migration => new MigrationDetails(migration, StatusOf(migration)))
                .Where(item => query.Status is not { } status || item.Status == status),
        ];
    }

    private string StatusOf(Migration migration)
    {
        var instance = views.Find(migration.InstanceId);
        var current = instance is { DeletedAt: null };
        if (migration.End == MigrationEnd.Confirmed)
        {
            return "confirmed";
        }
        if (migration.End == MigrationEnd.Reverted)
        {
            return current && views.Of(instance!).Status == InstanceStatus.RevertResize ? "reverting" : "reverted";
        }
        if (!current)
        {
            return "done";
        }
        var view = views.Of(instance!);
        return view.Status == InstanceStatus.Error ? "error"
            : migration.Kind == MigrationKind.Evacuation ? (view.TaskState is null && view.Status != InstanceStatus.Unknown ? "done" : "accepted")
            : view.Status == InstanceStatus.VerifyResize ? "finished" : "migrating";
    }

    private string? NameOf(Claim? claim) => claim is null ? null : nodes.Find(claim.NodeId)?.HostName;
}
