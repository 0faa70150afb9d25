using System.Globalization;
using System.Text.Json.Nodes;

namespace Nephos.Hypervisor.Qemu;

/// <summary>The size of a disk of a running machine.</summary>
internal static class QemuDisks
{
    /// <summary>Lets a machine see that the export behind a block node has grown.</summary>
    /// <remarks>QEMU can not grow an NBD node by itself. The head has dropped the connection; the size is read when the next request makes a new
    /// one, so one is made; then the node is told its size, and it tells the guest.</remarks>
    public static async Task GrowAsync(QmpClient client, string node, long sizeBytes, CancellationToken cancellationToken)
    {
        if (await SizeOfAsync(client, node, cancellationToken) is not { } size || size >= sizeBytes) return;
        await client.RunHumanAsync($"qemu-io {node} \"read 0 512\"", cancellationToken);
        await client.RunAsync("block_resize", new JsonObject { ["node-name"] = node, ["size"] = sizeBytes }, cancellationToken);
    }

    /// <summary>What the machine takes for the size; null when it has no such node.</summary>
    public static async Task<long?> SizeOfAsync(QmpClient client, string node, CancellationToken cancellationToken)
    {
        var list = await client.RunAsync("query-named-block-nodes", new JsonObject { ["flat"] = true }, cancellationToken);
        foreach (var entry in list.EnumerateArray())
        {
            if (entry.GetProperty("node-name").GetString() == node)
                return long.Parse(entry.GetProperty("image").GetProperty("virtual-size").GetRawText(), CultureInfo.InvariantCulture);
        }
        return null;
    }
}
