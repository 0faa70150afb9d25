using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;

namespace Nephos.Probe.Tests.State;

/// <summary>Commits pairs of keys without end, and prints each pair once it is acknowledged.</summary>
internal static class StateWriter
{
    private const int Writers = 16;

    public static async Task RunAsync(string path)
    {
        await using var store = StateRegistration.Open(new StateStoreOptions { Path = path }, TimeProvider.System, NullLoggerFactory.Instance);
        var run = await store.GetRevisionAsync(CancellationToken.None);
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; ; i++)
            {
                var id = string.Create(CultureInfo.InvariantCulture, $"{run}/{writer}/{i}");
                var commit = new StateCommit
                {
                    Preconditions = [new($"left/{id}", 0)],
                    Puts = [new($"left/{id}", Encoding.UTF8.GetBytes(id)), new($"right/{id}", Encoding.UTF8.GetBytes(id))],
                };
                if (!(await store.CommitAsync(commit, CancellationToken.None)).Succeeded)
                {
                    throw new InvalidOperationException($"The key left/{id} exists already.");
                }

                lock (output)
                {
                    output.WriteLine(id);
                }
            }
        })));
    }
}
