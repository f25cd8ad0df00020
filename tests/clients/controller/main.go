// A controller of somebody else's framework: every ConfigMap labelled copy=true gets a Secret that it owns, and keeps a
// finalizer until it goes. Ends when one of each has come and gone.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const finalizer = "example.com/copied"

type copier struct{ client.Client }

func (c *copier) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var source corev1.ConfigMap
	if err := c.Get(ctx, request.NamespacedName, &source); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if source.Labels["copy"] != "true" {
		return ctrl.Result{}, nil
	}
	if source.DeletionTimestamp != nil {
		controllerutil.RemoveFinalizer(&source, finalizer)
		return ctrl.Result{}, c.Update(ctx, &source)
	}
	if controllerutil.AddFinalizer(&source, finalizer) {
		if err := c.Update(ctx, &source); err != nil {
			return ctrl.Result{}, err
		}
	}
	copy := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: source.Name, Namespace: source.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, c.Client, copy, func() error {
		copy.StringData = source.Data
		return controllerutil.SetControllerReference(&source, copy, c.Scheme())
	})
	return ctrl.Result{}, err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func until(ctx context.Context, what string, holds func() bool) {
	for !holds() {
		select {
		case <-ctx.Done():
			must(fmt.Errorf("%s never came", what))
		case <-time.After(20 * time.Millisecond):
		}
	}
	fmt.Println(what)
}

func main() {
	log.SetLogger(zap.New())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	must(err)
	must(ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).
		Complete(&copier{manager.GetClient()}))
	go func() { must(manager.Start(ctx)) }()
	direct, err := client.New(ctrl.GetConfigOrDie(), client.Options{})
	must(err)
	source := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "source", Namespace: "default", Labels: map[string]string{"copy": "true"}},
		Data:       map[string]string{"key": "value"},
	}
	must(direct.Create(ctx, source))
	var secret corev1.Secret
	place := client.ObjectKeyFromObject(source)
	until(ctx, "copied", func() bool {
		return direct.Get(ctx, place, &secret) == nil && string(secret.Data["key"]) == "value"
	})
	must(direct.Delete(ctx, &secret))
	until(ctx, "copied again", func() bool { return direct.Get(ctx, place, &corev1.Secret{}) == nil })
	must(direct.Delete(ctx, source))
	until(ctx, "gone", func() bool { return errors.IsNotFound(direct.Get(ctx, place, &corev1.ConfigMap{})) })
	until(ctx, "collected", func() bool { return errors.IsNotFound(direct.Get(ctx, place, &corev1.Secret{})) })
}
