using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Probe.Tests.State;

public sealed class StateKillTests : IDisposable
{
    private const int Kills = 3;
    private const int AcknowledgedBeforeKill = 2000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-kill-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_killed_process_has_kept_every_commit_it_acknowledged_and_no_half_ones()
    {
        var acknowledged = new HashSet<string>();
        var revision = 0L;
        for (var kill = 0; kill < Kills; kill++)
        {
            acknowledged.UnionWith(await WriteUntilKilledAsync());

            await using var store = StateRegistration.Open(
                new StateStoreOptions { Path = _folder.FullName }, TimeProvider.System, NullLoggerFactory.Instance);
            var left = await ReadAsync(store, "left/");
            var right = await ReadAsync(store, "right/");

            Assert.Empty(acknowledged.Except(left.Keys));
            Assert.Equal(left, right);
            Assert.Equal(left.Count, left.Values.Distinct().Count());
            Assert.Equal(left.Values.Max(), await store.GetRevisionAsync(CancellationToken.None));
            Assert.True(left.Values.Max() >= revision + AcknowledgedBeforeKill);
            revision = left.Values.Max();
        }
    }

    private async Task<List<string>> WriteUntilKilledAsync()
    {
        using var writer = ProbeProgram.Start("state-writer", _folder.FullName);
        var acknowledged = new List<string>();
        while (await writer.StandardOutput.ReadLineAsync() is { } line)
        {
            acknowledged.Add(line);
            if (acknowledged.Count == AcknowledgedBeforeKill)
            {
                writer.Kill();
            }
        }

        await writer.WaitForExitAsync();

        // The last line may be cut short by the kill.
        acknowledged.RemoveAt(acknowledged.Count - 1);
        Assert.True(acknowledged.Count >= AcknowledgedBeforeKill - 1, $"The writer ended by itself with code {writer.ExitCode}.");
        return acknowledged;
    }

    /// <summary>The revision of each pair.</summary>
    private static async Task<SortedDictionary<string, long>> ReadAsync(IStateStore store, string prefix)
    {
        var pairs = new SortedDictionary<string, long>(StringComparer.Ordinal);
        var scan = await store.ScanAsync(prefix, StateKeys.PrefixEnd(prefix), StateLimits.MaxScanEntries, CancellationToken.None);
        while (true)
        {
            foreach (var entry in scan.Entries)
            {
                Assert.Equal(entry.Key[prefix.Length..], Encoding.UTF8.GetString(entry.Value.Span));
                pairs.Add(entry.Key[prefix.Length..], entry.Revision);
            }

            if (!scan.More)
            {
                return pairs;
            }

            scan = await store.ScanAsync(
                StateKeys.After(scan.Entries[^1].Key), StateKeys.PrefixEnd(prefix), StateLimits.MaxScanEntries, CancellationToken.None);
        }
    }
}
