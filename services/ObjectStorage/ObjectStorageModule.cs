using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.S3;
using Nephos.ObjectStorage.Swift;
using Nephos.ObjectStorage.Sync;
using Identity = Nephos.Protos.Identity.V1;

namespace Nephos.ObjectStorage;

/// <summary>Buckets and objects: gRPC, Swift and S3 over one namespace.</summary>
public static class ObjectStorageModule
{
    public static void AddObjectStorage(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<BucketsGrpcService>();
        builder.Services.AddSingleton<ObjectsGrpcService>();
        builder.Services.AddSingleton<ObjectChangesGrpcService>();
        builder.Services.AddNephosOptions<ObjectStorageOptions>(ObjectStorageOptions.Section);
        builder.Services.AddNephosClient<Identity.Tokens.TokensClient>("identity");
        builder.Services.AddSingleton<RateLimits>();
        builder.Services.AddSingleton<SwiftAuth>();
        builder.Services.AddSingleton<SwiftFace>();
        builder.Services.AddSingleton<SyncSender>();
        builder.Services.AddSingleton<ContainerSyncWorker>();
        builder.Services.AddHostedService(services => services.GetRequiredService<ContainerSyncWorker>());
        builder.Services.AddNephosClient<Identity.Ec2Credentials.Ec2CredentialsClient>("identity");
        builder.Services.AddSingleton<S3Authenticator>();
        builder.Services.AddSingleton<S3Face>();
        builder.Services.AddSingleton<LifecycleWorker>();
        builder.Services.AddHostedService(services => services.GetRequiredService<LifecycleWorker>());
    }

    public static void MapObjectStorage(this WebApplication app)
    {
        app.MapGrpcService<BucketsGrpcService>();
        app.MapGrpcService<ObjectsGrpcService>();
        app.MapGrpcService<ObjectChangesGrpcService>();
        app.Services.GetRequiredService<SwiftFace>().Map(app);
        var s3 = app.Services.GetRequiredService<S3Face>();
        app.MapWhen(s3.Takes, branch => branch.Run(s3.HandleAsync));
    }
}
