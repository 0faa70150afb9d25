using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Networking.Routers;
using Nephos.Networking.State;

namespace Nephos.Networking.Nodes;

/// <summary>One line of a report.</summary>
internal sealed record NodeItem(string Id, long Epoch, WiredState State, string Error);

/// <summary>Keeps what nodes tell of themselves.</summary>
internal sealed class NodeService(IStateStore state, NetworkStore store, RouterPlacer placer, NetworkingOptions options, TimeProvider time)
{
    private const int MaxErrorChars = 1000;
    private const int MaxNameChars = 253;
    private const int ItemsPerCommit = 200;

    /// <summary>How old a heartbeat may get before it is written again.</summary>
    public TimeSpan HeartbeatPeriod => options.NodeDownAfter / 5;

    public async Task<NetworkNode> ArriveAsync(
        string name, string vtepAddress, IReadOnlyList<string> physicalNetworks, CancellationToken cancellationToken)
    {
        RequireName(name);
        if (vtepAddress.Length > 0)
        {
            Checks.Address("vtep_address", vtepAddress);
        }

        var node = await store.ChangeAsync(
            "",
            async transaction =>
            {
                var now = time.GetUtcNow();
                var before = await transaction.GetAsync(Tables.Nodes, name, cancellationToken);
                var after = new NetworkNode
                {
                    Name = name,
                    AgentId = before?.AgentId ?? Ids.NewUuid(),
                    VtepAddress = vtepAddress,
                    PhysicalNetworks = physicalNetworks,
                    UnavailableReason = before?.UnavailableReason ?? "",
                    CreatedAt = before?.CreatedAt ?? now,
                    StartedAt = now,
                    HeartbeatAt = now,
                };
                transaction.Put(Tables.Nodes, after);
                return after;
            },
            cancellationToken);
        placer.Nudge();
        return node;
    }

    /// <summary>Notes that a node lives, when the last note is old.</summary>
    public Task BeatAsync(string name, CancellationToken cancellationToken) => NoteAsync(name, reason: null, cancellationToken);

    /// <summary>Notes what a node made of its state. Items that are not listed do not exist on it.</summary>
    public async Task ReportAsync(
        string name, IReadOnlyList<NodeItem> items, string unavailableReason, CancellationToken cancellationToken)
    {
        RequireName(name);
        await NoteAsync(name, Cut(unavailableReason), cancellationToken);
        var view = await store.ViewAsync(cancellationToken);
        var reported = new Dictionary<string, Wired>(StringComparer.Ordinal);
        foreach (var item in items.Where(item => Ids.IsUuid(item.Id)))
        {
            reported[item.Id] = new Wired(item.Id, name, item.Epoch, item.State, Cut(item.Error));
        }

        var changed = reported.Values.Where(wired => !wired.Equals(view.Wired.GetValueOrDefault(wired.Id)))
            .Select(wired => (wired.Id, Wired: (Wired?)wired));
        var gone = view.Wired.Values.Where(wired => wired.Node == name && !reported.ContainsKey(wired.Id))
            .Select(wired => (wired.Id, Wired: (Wired?)null));
        foreach (var chunk in changed.Concat(gone).Chunk(ItemsPerCommit))
        {
            await state.TransactAsync(
                async transaction =>
                {
                    foreach (var (id, wired) in chunk)
                    {
                        await WriteAsync(transaction, name, id, wired, cancellationToken);
                    }
                },
                cancellationToken);
        }
    }

    // A report may come after the object was deleted, or after another node has reported of it with a later epoch.
    private static async Task WriteAsync(
        StateTransaction transaction, string node, string id, Wired? wired, CancellationToken cancellationToken)
    {
        var current = await transaction.GetAsync(Tables.Wired, id, cancellationToken);
        if (wired is null)
        {
            if (current?.Node == node)
            {
                transaction.Delete(Tables.Wired, id);
            }

            return;
        }

        var exists = await transaction.GetAsync(Tables.Ports, id, cancellationToken) is not null ||
            await transaction.GetAsync(Tables.Routers, id, cancellationToken) is not null ||
            await transaction.GetAsync(Tables.FloatingIps, id, cancellationToken) is not null;
        if (exists && (current is null || current.Node == node || current.Epoch <= wired.Epoch))
        {
            transaction.Put(Tables.Wired, wired);
        }
    }

    private async Task NoteAsync(string name, string? reason, CancellationToken cancellationToken)
    {
        var before = await state.GetAsync(Tables.Nodes, name, cancellationToken);
        var now = time.GetUtcNow();
        if (before is null || ((reason is null || before.UnavailableReason == reason) && now - before.HeartbeatAt < HeartbeatPeriod / 2))
        {
            return;
        }

        var changed = await store.ChangeAsync(
            "",
            async transaction =>
            {
                if (await transaction.GetAsync(Tables.Nodes, name, cancellationToken) is not { } node)
                {
                    return false;
                }

                var after = node with { HeartbeatAt = now, UnavailableReason = reason ?? node.UnavailableReason };
                transaction.Put(Tables.Nodes, after);
                return after.UnavailableReason != node.UnavailableReason || !node.IsAlive(now, options.NodeDownAfter);
            },
            cancellationToken);
        if (changed)
        {
            placer.Nudge();
        }
    }

    private static void RequireName(string name)
    {
        if (name.Length == 0 || Checks.Text("node_id", name, MaxNameChars).Any(c => c is not ('-' or '.' or '_') && !char.IsAsciiLetterOrDigit(c)))
        {
            throw Faults.Invalid("node_id", "must be a name of letters, digits, '-', '.' and '_'");
        }
    }

    private static string Cut(string text) => text.Length <= MaxErrorChars ? text : text[..MaxErrorChars];
}
