using Microsoft.Extensions.Hosting;
using Nephos.Kernel.State;

namespace Nephos.Compute.Flavors;

/// <summary>Makes the usual flavors, with the ids that people know them by, when the cloud starts for the first time.</summary>
internal sealed class FlavorSeed(IStateStore store, ComputeOptions options, TimeProvider time) : BackgroundService
{
    private const string MarkId = "usual";

    private static readonly (string Id, string Name, int Vcpus, long MemoryMib, long RootGib)[] Usual =
    [
        ("42", "m1.nano", 1, 128, 1),
        ("84", "m1.micro", 1, 256, 1),
        ("1", "m1.tiny", 1, 512, 1),
        ("2", "m1.small", 1, 2048, 20),
        ("3", "m1.medium", 2, 4096, 40),
        ("4", "m1.large", 4, 8192, 80),
        ("5", "m1.xlarge", 8, 16384, 160),
    ];

    /// <summary>Done before the process answers.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.SeedFlavors)
        {
            await SeedAsync(cancellationToken);
        }
        await base.StartAsync(cancellationToken);
    }

    public Task SeedAsync(CancellationToken cancellationToken) => store.TransactAsync(async transaction =>
    {
        if (await transaction.GetAsync(FlavorSeedMark.Table, MarkId, cancellationToken) is not null)
        {
            return;
        }
        var now = time.GetUtcNow();
        transaction.Insert(FlavorSeedMark.Table, new FlavorSeedMark(MarkId, now));
        foreach (var (id, name, vcpus, memoryMib, rootGib) in Usual)
        {
            if (await transaction.FindAsync(Flavor.Table, "name", name, cancellationToken) is null
                && await transaction.GetAsync(Flavor.Table, id, cancellationToken) is null)
            {
                transaction.Insert(Flavor.Table, new Flavor
                {
                    Id = id, Name = name, Vcpus = vcpus, MemoryMib = memoryMib, RootGib = rootGib, CreatedAt = now,
                });
            }
        }
    }, cancellationToken);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.CompletedTask;
}
